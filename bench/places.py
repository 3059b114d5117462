"""Where everything of a bench is."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
STATE = ROOT / ".local/bench"
OFFSET = 7000
PEERS_FROM = 17500
"""The first port of the peers."""
