"""Report of the results: tables in docs/performance.md and README.md, and a plot beside the results.

The prose of the page is written by hand. The plot is not committed.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.order_life import markdown
from bench.paths import RESULTS_FOLDER, ROOT
from bench.results import PartResults, Row, format_value

REPORT_PATH, PLOT_PATH = ROOT / "docs/performance.md", RESULTS_FOLDER / "performance.svg"
README_PATH = ROOT / "README.md"
BEGIN_MARKER, END_MARKER = "<!-- written by `make bench` -->\n", "<!-- end -->\n"
PAGE_WIDTH = 100
TABLE_HEADER = "| metric | goal | median | quartiles | met |\n| --- | --- | --- | --- | --- |\n"


def render_tables(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a table of goals for each part, then a folded table of the other measurements."""
    all_rows = [*rows]
    goals = [row for row in all_rows if row.met is not None]
    met = sum(bool(row.met) for row in goals)
    yield "### An order's life\n\n"
    yield from markdown.render_costs(all_rows)
    yield f"### Goals\n\n**{met} of {len(goals)}** goals are met.\n\n"
    for part, part_rows in groupby(goals, lambda row: row.part):
        yield f"#### {part.capitalize()}\n\n{TABLE_HEADER}"
        for row in part_rows:
            median = f"{format_value(row.value)} {row.unit}"
            cells = (_format_row_label(row), row.goal, median, row.format_quartiles(), row.format_status_label())
            yield f"| {' | '.join(cells)} |\n"
        yield "\n"
    yield "<details><summary>Measurements without a goal</summary>\n\n"
    yield "| metric | median | quartiles |\n| --- | --- | --- |\n"
    for row in all_rows:
        if row.met is None and not markdown.is_amount(row):
            yield f"| {row.name} | {format_value(row.value)} {row.unit} | {row.format_quartiles()} |\n"
    yield "\n</details>\n\n"


def _format_row_label(row: Row) -> str:
    return row.name.partition(": ")[2]


def render_provenance(results: Mapping[str, PartResults]) -> Iterator[str]:
    """Yield a paragraph per environment, with its parts unless all have the same one, and the commit of each part."""
    parts_by_environment: dict[str, list[str]] = {}
    for part, part_results in results.items():
        parts_by_environment.setdefault(part_results.provenance.environment.describe(), []).append(f"`{part}`")
    for environment, parts in parts_by_environment.items():
        text = f"{', '.join(parts)}: {environment}" if len(parts_by_environment) > 1 else environment
        yield f"{textwrap.fill(text, PAGE_WIDTH, break_on_hyphens=False)}\n\n"
    yield "| part | commit | date |\n| --- | --- | --- |\n"
    for part, part_results in results.items():
        yield f"| `{part}` | {part_results.provenance.commit} | {part_results.provenance.date} |\n"
    yield "\n"


def draw_plot(rows: Sequence[Row]) -> None:
    """Draw the ratios to the baselines, one line each with the range of its repeats and a mark at its goal."""
    shown = [
        row for row in rows if row.met is not None and row.unit == "×" and row.part in {"gateway", "messages", "mesh"}
    ]
    mpl.rcParams.update({"svg.hashsalt": "delivery", "font.size": 9, "font.family": "sans-serif"})
    figure = Figure(figsize=(10, 0.32 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(reversed(shown)):
        colour = "#2a7f62" if row.met else "#c0392b"
        axes.plot([min(row.runs), max(row.runs)], [y, y], color=colour, alpha=0.35, linewidth=5)
        axes.plot(row.value, y, "o", color=colour)
        axes.plot(float(row.goal.split()[1]), y, "|", color="black", markersize=14)
    axes.set_yticks(range(len(shown)), [f"{row.name}  {row.goal.split()[0]}" for row in reversed(shown)])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.axvline(1, color="grey", linewidth=0.6)
    axes.grid(axis="x", alpha=0.25)
    axes.set_title("ratio to the baseline: median, range of all repeats, and goal (black)")
    figure.savefig(PLOT_PATH, metadata={"Date": None})


def replace_marked(path: Path, text: str) -> None:
    """Replace the text between the markers of a page. Raises ValueError if a marker is missing."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not begin or not end:
        raise ValueError(f"{path} has no marker {BEGIN_MARKER.strip()} or {END_MARKER.strip()}")
    path.write_text("".join([before, BEGIN_MARKER, text, END_MARKER, after]), encoding="utf-8")


def write_report(results: Mapping[str, PartResults]) -> None:
    """Write the tables of docs/performance.md and README.md. Raises ValueError if a marker is missing."""
    rows = [row for part_results in results.values() for row in part_results.rows]
    replace_marked(REPORT_PATH, "".join([*render_provenance(results), *render_tables(rows)]))
    replace_marked(README_PATH, "".join(markdown.render_headline(rows)))
    draw_plot(rows)
