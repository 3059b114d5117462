"""The gateway alone, beside FastAPI alone: one worker each, backends that answer at once, the same requests."""

import base64
import json

import httpx

from bench import contest
from bench.load import Contender, family
from bench.places import PEERS_FROM, STATE
from bench.processes import Processes
from bench.results import Row, at_least, plain, ratios
from bench.rivals import UVICORN
from tests.containers.awaiting import until

OURS, PEER = "gateway", "FastAPI"
APPS = {OURS: "bench.alone:app", PEER: "bench.peers.alone:app"}
GOALS = {"list of 20 partners × 10 products": 5, "validated POST of checkOrder": 4}
CONNECTIONS = 16


def run(repeats: int, seconds: int) -> list[Row]:
    """Both doors, by both requests."""
    payload = {"sub": "somebody", "user_id": "somebody", "role": "customer", "exp": 4_000_000_000}
    header = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    sent = contest.files()
    told = {"TOKEN": "none", "HEADER": header}
    asked = {
        "list of 20 partners × 10 products": {"PATHS": str(sent["warm-peer"])},
        "validated POST of checkOrder": {"FLOW": str(sent["basket"]), "ONLY_CHECK": "1"},
    }
    with Processes(STATE / "doors.log") as processes:
        ports = {name: PEERS_FROM + 50 + number for number, name in enumerate(APPS)}
        pids = {name: processes.start(*UVICORN, f"--port={ports[name]}", app) for name, app in APPS.items()}
        for name, port in ports.items():
            until(name, lambda port=port: _answers(port), 30)  # type: ignore[misc]
        rows = []
        for what, goal in GOALS.items():
            contenders = [
                Contender(
                    name,
                    f"http://127.0.0.1:{port}",
                    told | asked[what],
                    lambda pid=pids[name]: family(pid),  # type: ignore[misc]
                )
                for name, port in ports.items()
            ]
            found = contest.drive_all(contenders, CONNECTIONS, repeats, seconds)
            faster = ratios(found[OURS], found[PEER], lambda sample: sample.rate)
            rows.append(at_least(f"alone: gateway, {what}, requests by FastAPI's", goal, faster))
            rows += [
                plain(f"alone: {name}, {what}", [sample.rate for sample in samples], "requests/s")
                for name, samples in found.items()
            ]
    return rows


def _answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/nothing", trust_env=False)
    except httpx.HTTPError:
        return False
    return True
