"""The whole mesh against its peers: interleaved, in an order that is shuffled for each repeat."""

import base64
import json
import random
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.load import Contender, Sample, drive
from bench.mesh import FIRST, Mesh, basket
from bench.places import STATE

MESH = "mesh"
SERVERS = ("postgres", "memcached", "rabbitmq", "documents")
"""Whom peers use, too."""

PAGES = 50_000
"""Requests for the same page by different tokens, which no cache of some hundreds of pages can have seen."""


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
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def contenders(mesh: Mesh, doors: dict[str, tuple[str, list[int]]], what: str) -> Iterator[Contender]:
    """Everybody who does this: `cold` or `warm` (the catalog), or `orders`."""
    sent, bearer = files(), mesh.token()
    ours = {"TOKEN": bearer} | _told(sent, what, "mesh")
    yield Contender(MESH, mesh.state.edge, ours, mesh.pids)
    for name, (url, pids) in doors.items():
        if what == "orders" and name.startswith("Starlette"):
            continue
        told = {"TOKEN": bearer} | _told(sent, what, "peer")
        yield Contender(name, url, told, lambda pids=pids: [*pids, *mesh.pids(*SERVERS)])  # type: ignore[misc]


def _told(sent: dict[str, Path], what: str, side: str) -> dict[str, str]:
    if what == "orders":
        return {"FLOW": str(sent["basket"])}
    return {"PATHS": str(sent[f"{what}-{side}"])}


def run(all_of: Sequence[Contender], connections: int, repeats: int, seconds: int) -> dict[str, list[Sample]]:
    """By contender: a sample per repeat."""
    found: dict[str, list[Sample]] = {contender.name: [] for contender in all_of}
    for _ in range(repeats):
        order = [*all_of]
        secrets.SystemRandom().shuffle(order)
        for contender in order:
            found[contender.name].append(drive(contender, connections, seconds))
            print(".", end="", flush=True)
    print()
    return found
