"""Short chaos test with five kills and fifty orders. SEED overrides the seed."""

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.__main__ import PORT_OFFSET
from tests.chaos.mesh import ROOT, run_mesh
from tests.chaos.run import RunConfig, print_result, run


@pytest.mark.timeout(300)
async def test_no_order_is_lost_duplicated_or_stuck(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or 1)
    console = Console(soft_wrap=True)
    with run_mesh(ROOT / ".local/chaos-short", PORT_OFFSET) as mesh:
        result = await run(
            mesh,
            RunConfig(seed, order_count=50, kill_count=5, fault_interval_s=1.5, stabilisation_timeout_s=75),
            console,
        )
    print_result(result, console)
    result.write_summary(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == {
        "seed": seed,
        "kills": 5,
        "orders": 50,
        "lost": 0,
        "duplicated": 0,
        "stuck": 0,
    }
    assert result.findings == []
