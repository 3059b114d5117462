"""A short run of `make chaos`: five kills, fifty orders, by one seed unless SEED says otherwise."""

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.__main__ import OFFSET
from tests.chaos.mesh import ROOT, running
from tests.chaos.run import Asked, run, show


@pytest.mark.timeout(300)
async def test_no_order_is_lost_doubled_or_stuck(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or 1)
    console = Console(soft_wrap=True)
    with running(ROOT / ".local/chaos-short", OFFSET) as mesh:
        result = await run(mesh, Asked(seed, orders=50, kills=5, gap_s=1.5, quiet_s=75), console)
    show(result, console)
    result.write(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "seed": seed,
        "kills": 5,
        "orders": 50,
        "lost": 0,
        "doubled": 0,
        "stuck": 0,
    }
    assert result.findings == []
