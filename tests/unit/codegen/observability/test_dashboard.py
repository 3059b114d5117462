"""Rows, panels and layout of the Grafana dashboard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.observability import dashboard
from codegen.observability.objectives import get_specification
from tests.unit.codegen.sample_contracts import (
    create_contracts,
    create_event,
    create_method,
    create_service,
    create_stream,
)

CONTRACTS = create_contracts(
    create_service("notes", create_method("GetNote"), create_stream("WatchNotes")),
    events=(create_event("Added"),),
)


def test_series_have_reference_ids_and_readable_legends() -> None:
    panel = dashboard.build_panel("Duration", "ms", first_half="a", second="b")
    assert [(each["refId"], each["expr"], each["legendFormat"]) for each in panel["targets"]] == [
        ("A", "a", "first half"),
        ("B", "b", "second"),
    ]
    assert (panel["title"], panel["fieldConfig"]["defaults"]["unit"]) == ("Duration", "ms")


@pytest.mark.parametrize(("label", "legend"), [("queue", "{{queue}}"), ("from, to", "{{from}} {{to}}")])
def test_legend_of_a_labelled_panel_is_its_labels(label: str, legend: str) -> None:
    (target,) = dashboard.build_panel_by_label(label, "Queues", "short", "expr")["targets"]
    assert target["legendFormat"] == legend


def test_filter_contains_names_and_extra_selector() -> None:
    assert dashboard.filter_by_name("m", "queue", ["a", "b"]) == 'm{queue=~"a|b"}'
    assert dashboard.filter_by_name("m", "queue", ["a"], ', x="1"') == 'm{queue=~"a", x="1"}'


def test_red_panels_are_rate_errors_and_duration() -> None:
    rate, errors, duration = dashboard.iter_red_panels("m", "operation", ["getNote"], 'status=~"5.."')
    expressions = [each["targets"][0]["expr"] for each in (rate, errors, duration)]
    count = 'sum by (operation) (rate(m_count{operation=~"getNote"}[$__rate_interval]))'
    failed = 'sum by (operation) (rate(m_count{operation=~"getNote", status=~"5.."}[$__rate_interval]))'
    assert expressions == [
        count,
        f"{failed} / {count}",
        'histogram_quantile(0.99, sum by (operation, le) (rate(m_bucket{operation=~"getNote"}[$__rate_interval])))',
    ]


def test_each_tag_and_service_has_a_row() -> None:
    assert list(dashboard.build_dashboard_rows(CONTRACTS)) == [
        "Objectives",
        "Edge",
        "REST: notes",
        "REST: callbacks",
        "RPC: delivery.notes.v1.NotesService",
        "Events",
        *get_specification(CONTRACTS).dashboard,
        "Databases",
        "Processes",
    ]


def test_rows_filter_by_the_names_of_their_tag_or_service() -> None:
    rows = dashboard.build_dashboard_rows(CONTRACTS)
    assert 'operation=~"getNote|updateNote|getLatestNote|watchNote"' in str(rows["REST: notes"])
    assert 'operation=~"receiveCallback"' in str(rows["REST: callbacks"])
    names = "delivery.notes.v1.NotesService/GetNote|delivery.notes.v1.NotesService/WatchNotes"
    assert f'rpc_method=~"{names}"' in str(rows["RPC: delivery.notes.v1.NotesService"])
    assert 'queue=~"archive.history"' in str(rows["Events"])


def test_rows_separate_panels_without_gaps_or_overlap() -> None:
    y, x = 0, 0
    for panel in dashboard.lay_out(CONTRACTS):
        grid = panel["gridPos"]
        if panel["type"] == "row":
            assert panel["collapsed"] is False
            y, x = y + (dashboard.PANEL_HEIGHT if x else 0), 0
            assert grid == {"x": 0, "y": y, "w": dashboard.GRID_COLUMNS, "h": 1}
            y += 1
            continue
        if x and grid["x"] == 0:
            y, x = y + dashboard.PANEL_HEIGHT, 0
        assert (grid["x"], grid["y"]) == (x, y)
        x += grid["w"]
        assert x <= dashboard.GRID_COLUMNS


@given(st.integers(1, 30))
def test_panels_of_any_number_stay_within_the_grid(count: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dashboard, "build_dashboard_rows", lambda _: {"Row": [{"type": "timeseries"}] * count})
        _, *panels = dashboard.lay_out(CONTRACTS)
    positions = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(positions) == len(panels) == count
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= dashboard.GRID_COLUMNS for panel in panels)


def test_dashboard_has_consecutive_panel_ids_and_a_datasource() -> None:
    built = dashboard.build_dashboard(CONTRACTS)
    assert [panel["id"] for panel in built["panels"]] == list(range(1, len(built["panels"]) + 1))
    (variable,) = built["templating"]["list"]
    sources = {panel["datasource"]["uid"] for panel in built["panels"] if panel["type"] != "row"}
    assert sources == {f"${{{variable['name']}}}"}
