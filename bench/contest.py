"""The whole mesh against its peers: interleaved, in an order that is shuffled for each repeat."""

import base64
import json
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.load import Contender, Sample, drive
from bench.mesh import FIRST, Mesh, basket
from bench.places import STATE
from bench.results import Row, at_least, at_most, plain, ratios
from bench.rivals import CEILINGS, ONE, ORM, RAW, serving

MESH = "mesh"
SERVERS = ("postgres", "memcached", "rabbitmq", "documents")
"""Whom peers use, too."""

PAGES = 50_000
"""Requests for the same page by different tokens, which no cache of some hundreds of pages can have seen."""

COLD, WARM, ORDERS = "catalog", "catalog from the gateway's cache", "check, confirm and get order"
SHORT = {COLD: "cold", WARM: "warm"}
ROUNDS = ((COLD, 16), (ORDERS, 16), (WARM, 16), (ORDERS, 1), (ORDERS, 32), (COLD, 32), (WARM, 32))
"""What is driven by how many connections, those first that say most."""


def token(after: int) -> str:
    """A page token of the mesh's."""
    return base64.urlsafe_b64encode(json.dumps([after]).encode()).decode().rstrip("=")


def files() -> dict[str, Path]:
    """What is sent: a page that is asked for again and again, pages that were never asked for, and a basket."""
    afters = random.sample(range(3, FIRST), PAGES)
    texts = {
        "warm-mesh": f"/api/v1/catalog?page_token={token(FIRST - 1)}",
        "warm-peer": f"/api/v1/catalog?page_token={FIRST - 1}",
        "cold-mesh": "\n".join(f"/api/v1/catalog?page_token={token(after)}" for after in afters),
        "cold-peer": "\n".join(f"/api/v1/catalog?page_token={after}" for after in afters),
        "basket": json.dumps(basket()),
    }
    folder = STATE / "sent"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def contenders(mesh: Mesh, doors: Mapping[str, tuple[str, list[int]]], what: str) -> Iterator[Contender]:
    """Everybody who does this."""
    sent, bearer = files(), mesh.token()
    yield Contender(MESH, mesh.state.edge, {"TOKEN": bearer} | _told(sent, what, "mesh"), mesh.pids)
    for name, (url, pids) in doors.items():
        told = {"TOKEN": bearer} | _told(sent, what, "peer")
        yield Contender(name, url, told, lambda pids=pids: [*pids, *mesh.pids(*SERVERS)])  # type: ignore[misc]


def _told(sent: Mapping[str, Path], what: str, side: str) -> dict[str, str]:
    return {"FLOW": str(sent["basket"])} if what == ORDERS else {"PATHS": str(sent[f"{SHORT[what]}-{side}"])}


def drive_all(all_of: Sequence[Contender], connections: int, repeats: int, seconds: int) -> dict[str, list[Sample]]:
    """By contender: a sample per repeat."""
    found: dict[str, list[Sample]] = {contender.name: [] for contender in all_of}
    for _ in range(repeats):
        order = [*all_of]
        secrets.SystemRandom().shuffle(order)
        for contender in order:
            found[contender.name].append(drive(contender, connections, seconds))
            print(".", end="", flush=True)
    print(flush=True)
    return found


def compare(found: Mapping[str, Sequence[Sample]], about: str, what: str, connections: int) -> Iterator[Row]:
    """What the contract of this bench asks of such a run, and the rest of it."""
    named = f"mesh: {about}"
    rates, p99, cpu = (
        {name: ratios(found[MESH], found[name], read) for name in (ORM, RAW, ONE) if name in found}
        for read in (lambda sample: sample.rate, lambda sample: sample.p99, lambda sample: sample.cpu)
    )
    of_orm = f"by {ORM}"
    if connections == 1:
        yield at_least(f"{named}, requests {of_orm}", 0.75, rates[ORM])
        yield at_most(f"{named}, p99 {of_orm}", 1.5, p99[ORM])
    elif what == WARM:
        yield at_least(f"{named}, requests {of_orm}", 1.8, rates[ORM])
        yield at_most(f"{named}, CPU {of_orm}", 0.7, cpu[ORM])
    else:
        most = (1.15, 1.0, 0.85) if what == COLD else (1.0, 1.25, 1.1)
        yield at_least(f"{named}, requests {of_orm}", most[0], rates[ORM])
        yield at_most(f"{named}, p99 {of_orm}", most[1], p99[ORM])
        yield at_most(f"{named}, CPU {of_orm}", most[2], cpu[ORM])
        yield at_least(f"{named}, requests by {RAW}", 1.05 if what == COLD else 0.75, rates[RAW])
    if ONE in found:
        yield plain(f"{named}, requests by {ONE}", rates[ONE], "×")
        yield plain(f"{named}, CPU by {ONE}", cpu[ONE], "×")
    for name, samples in found.items():
        yield plain(f"{named}: {name}", [sample.rate for sample in samples], "requests/s")
        yield plain(f"{named}: {name}, p99", [sample.p99 for sample in samples], "ms")
        yield plain(f"{named}: {name}, CPU", [sample.cpu for sample in samples], "ms/request")


def run(mesh: Mesh, repeats: int, seconds: int, keep: Callable[[Sequence[Row]], None]) -> list[Row]:
    """All of it; who has no goal of its own is shown with 16 connections, the ceilings once.

    `keep` is given what is there after each round.
    """
    rows: list[Row] = []
    with serving(mesh) as doors:
        checked = {name: door for name, door in doors.items() if name not in CEILINGS}
        few = {name: door for name, door in checked.items() if name != ONE}
        for what, connections in ROUNDS:
            about = f"{what}, {connections} connection{'s' if connections > 1 else ''}"
            print(about, flush=True)
            there = {(COLD, 16): doors, (ORDERS, 16): checked}.get((what, connections), few)
            found = drive_all([*contenders(mesh, there, what)], connections, repeats, seconds)
            rows += compare(found, about, what, connections)
            keep(rows)
    return rows
