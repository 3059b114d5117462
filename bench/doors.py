"""The gateway alone, beside FastAPI alone: one worker each, backends that answer at once, the same requests."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

import httpx

from bench import contest
from bench.load import Contender, Sample, family
from bench.places import PEERS_FROM, STATE
from bench.processes import Processes
from bench.results import Row, at_least, plain, ratios
from bench.rivals import UVICORN
from tests.containers.awaiting import until

PEER, OURS, KEEPS = "FastAPI", "gateway", "gateway, as it runs: kept until it changes"
APPS = {PEER: ("bench.peers.alone:app", {}), OURS: ("bench.alone:app", {}), KEEPS: ("bench.alone:app", {"KEEPS": "1"})}
LIST, POST = "list of 20 partners × 10 products", "validated POST of checkOrder"
GOALS = {LIST: 5, POST: 4}
CONNECTIONS = 16


def run(repeats: int, seconds: int) -> list[Row]:
    """All doors, by both requests; only a list can be kept."""
    payload = {"sub": "somebody", "user_id": "somebody", "role": "customer", "exp": 4_000_000_000}
    header = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    sent = contest.files()
    asked = {LIST: {"PATHS": str(sent["warm-peer"])}, POST: {"FLOW": str(sent["basket"]), "ONLY_CHECK": "1"}}
    rows: list[Row] = []
    with Processes(STATE / "doors.log") as processes:
        doors = {}
        for port, (name, (app, told)) in enumerate(APPS.items(), start=PEERS_FROM + 50):
            doors[name] = (port, processes.start(*UVICORN, f"--port={port}", app, **told))
            until(name, lambda port=port: _answers(port), 30)  # type: ignore[misc]
        for what, goal in GOALS.items():
            contenders = [
                Contender(
                    name,
                    f"http://127.0.0.1:{port}",
                    {"TOKEN": "none", "HEADER": header} | asked[what],
                    lambda pid=pid: family(pid),  # type: ignore[misc]
                )
                for name, (port, pid) in doors.items()
                if what == LIST or name != KEEPS
            ]
            rows += compare(what, goal, contest.drive_all(contenders, CONNECTIONS, repeats, seconds))
    return rows


def compare(what: str, goal: float, found: Mapping[str, Sequence[Sample]]) -> Iterator[Row]:
    """Ours by the peer's, and everybody's own."""
    for name, samples in found.items():
        named = f"alone: {what}, {name}"
        if name != PEER:
            rates = ratios(samples, found[PEER], lambda sample: sample.rate)
            yield at_least(f"{named}, requests by {PEER}'s", goal, rates)
        yield plain(named, [sample.rate for sample in samples], "requests/s")
        yield plain(f"{named}, CPU", [sample.cpu for sample in samples], "ms/request")


def _answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/nothing", trust_env=False)
    except httpx.HTTPError:
        return False
    return True
