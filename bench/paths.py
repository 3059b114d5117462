"""Paths and ports of the benchmarks."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
STATE_DIR = ROOT / ".local/bench"
RESULTS_FOLDER = ROOT / ".local/bench-results"
"""Outside of the state folder, which the benchmarks delete."""

PORT_OFFSET = 7000
FIRST_BASELINE_PORT = 17500
"""The first port of the baselines."""
