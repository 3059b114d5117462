"""`python -m bench [PART …]`: measures, and writes bench/results.json and docs/performance.md."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

from bench import contest, doors, flood, growth, messages, page, relay, results, streams, system, told, workers
from bench.mesh import stocked
from bench.results import Row


def _messages() -> list[Row]:
    return [messages.page(15), asyncio.run(messages.calls(15, 1500))]


def _contest() -> list[Row]:
    with stocked() as mesh:
        return contest.run(mesh, repeats=9, seconds=2, keep=results.save)


def _relay() -> list[Row]:
    with stocked() as mesh:
        return relay.run(mesh, repeats=9)


def _told() -> list[Row]:
    with stocked() as mesh:
        return told.run(mesh)


def _streams() -> list[Row]:
    with stocked() as mesh:
        return streams.run(mesh)


def _workers() -> list[Row]:
    with stocked() as mesh:
        return workers.run(mesh, repeats=5, seconds=3)


PARTS: dict[str, Callable[[], list[Row]]] = {
    "messages": _messages,
    "alone": lambda: doors.run(repeats=9, seconds=3),
    "mesh": _contest,
    "workers": _workers,
    "relay": _relay,
    "told": _told,
    "streams": _streams,
    "growth": lambda: growth.run(200),
    "notifications": lambda: flood.run(2),
    "system": system.run,
}
"""By the word that the names of their rows begin with."""


def main() -> int:
    """0 when all was measured, whatever it was."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "page", []])
    asked = parser.parse_args()
    for part in asked.parts or PARTS:
        if part != "page":
            began = time.monotonic()
            print(f"== {part}", flush=True)
            results.save(rows := PARTS[part]())
            for row in rows:
                print(f"  {row.mark():3} {row.name}: {results.short(row.value)} {row.unit} {row.goal}", flush=True)
            print(f"== {part}: {time.monotonic() - began:.0f} s", flush=True)
    page.write(results.load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
