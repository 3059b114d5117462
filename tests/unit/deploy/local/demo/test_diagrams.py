"""Sequence diagrams of recorded traces."""

import random
import re
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from deploy.local.demo import diagrams
from deploy.local.demo.diagrams import (
    CACHED_QUERIES,
    MAX_LINE_CHARS,
    Message,
    build_messages,
    render_diagram,
    render_diagrams,
)
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import SCENARIOS
from deploy.local.demo.trace_recorder import RecordedTrace, Span
from deploy.local.mesh_config import MeshConfig
from tests.unit.deploy.local.demo.sample_traces import create_span, create_step, record

ROOT = create_span("POST /api/v1/orders", "gateway-envoy")
APP = create_span("confirmOrder", "gateway", ROOT)


def pay(_: ScenarioContext) -> None:
    """The customer pays."""


def texts(trace: RecordedTrace) -> list[str]:
    """Return the messages of a trace as "source->>target: text"."""
    return [f"{each.source}{each.arrow}{each.target}: {each.text}" for each in build_messages(trace)]


def test_request_and_response_enclose_the_synchronous_calls() -> None:
    call = create_span("delivery.orders.v1.OrdersService/ConfirmOrder", "orders", APP)
    assert texts(record(ROOT, APP, call)) == [
        "customer->>gateway-envoy: POST /api/v1/orders",
        "gateway-envoy->>gateway: confirmOrder",
        "gateway->>orders: ConfirmOrder",
        "gateway-envoy-->>customer: 201",
    ]


def test_spans_within_a_service_are_omitted() -> None:
    internal = create_span("validate", "gateway", APP, kind="internal")
    client = create_span("delivery.orders.v1.OrdersService/ConfirmOrder", "gateway", internal, kind="client")
    server = create_span("delivery.orders.v1.OrdersService/ConfirmOrder", "orders", client)
    assert texts(record(ROOT, APP, internal, client, server))[2:-1] == ["gateway->>orders: ConfirmOrder"]


@pytest.mark.parametrize(
    ("system", "participant"),
    [("postgresql", "PostgreSQL"), ("mongodb", "document store"), ("memcached", "Memcached")],
)
def test_queries_are_messages_to_their_store(system: str, participant: str) -> None:
    query = create_span("SELECT orders", "orders", APP, kind="client", db__system__name=system)
    assert texts(record(ROOT, APP, query))[2] == f"orders->>{participant}: SELECT orders"


def test_call_of_a_third_party_is_a_message_to_it() -> None:
    call = create_span("bank POST /payments", "gateway", APP, kind="client", service__peer__name="bank")
    assert texts(record(ROOT, APP, call))[2] == "gateway->>bank: POST /payments"


@pytest.mark.parametrize("summary", sorted(CACHED_QUERIES))
def test_cached_queries_are_omitted(summary: str) -> None:
    tags = {"db__system__name": "postgresql", "db__query__summary": summary}
    assert len(texts(record(ROOT, APP, create_span(summary, "gateway", APP, kind="client", **tags)))) == 3


def test_consecutive_queries_of_a_store_are_merged() -> None:
    names = ["SELECT orders", "SELECT items", "SELECT orders", "COMMIT"]
    queries = [create_span(name, "gateway", APP, kind="client", db__system__name="postgresql") for name in names]
    assert texts(record(ROOT, APP, *queries))[2:-1] == ["gateway->>PostgreSQL: SELECT orders, SELECT items, COMMIT"]


def test_queries_separated_by_a_call_are_not_merged() -> None:
    first = create_span("SELECT a", "gateway", APP, kind="client", db__system__name="postgresql")
    call = create_span("S/Get", "orders", APP)
    second = create_span("SELECT b", "gateway", APP, kind="client", db__system__name="postgresql")
    assert texts(record(ROOT, APP, first, call, second))[2:-1] == [
        "gateway->>PostgreSQL: SELECT a",
        "gateway->>orders: Get",
        "gateway->>PostgreSQL: SELECT b",
    ]


def test_repeated_calls_of_a_service_are_not_merged() -> None:
    calls = [create_span("S/Get", "orders", APP) for _ in range(2)]
    assert texts(record(ROOT, APP, *calls))[2:-1] == ["gateway->>orders: Get"] * 2


PUBLISHED = create_span("publish orders.paid", "orders", APP, kind="producer", cloudevents__event_type="orders.paid")
CONSUMER_TAGS = {"messaging__system": "rabbitmq", "cloudevents__event_type": "orders.paid"}


def test_events_follow_the_response() -> None:
    consumed = create_span("process orders.history", "notifications", PUBLISHED, kind="consumer", **CONSUMER_TAGS)
    stored = create_span("INSERT jobs", "notifications", consumed, kind="client", db__system__name="postgresql")
    assert texts(record(ROOT, APP, PUBLISHED, consumed, stored))[2:] == [
        "gateway-envoy-->>customer: 201",
        "orders->>RabbitMQ: orders.paid",
        "RabbitMQ->>notifications: orders.paid (orders.history)",
        "notifications->>PostgreSQL: INSERT jobs",
    ]


def test_failed_delivery_attempts_are_omitted() -> None:
    tags = CONSUMER_TAGS | {"error": True}
    failed = create_span("process orders.history", "orders", PUBLISHED, kind="consumer", **tags)
    assert texts(record(ROOT, APP, PUBLISHED, failed))[-1] == "orders->>RabbitMQ: orders.paid"


def test_consumer_without_broker_is_called_by_its_producer() -> None:
    job = create_span("deliver notification", "notifications", APP, kind="consumer")
    assert texts(record(ROOT, APP, job))[-1] == "gateway->>notifications: deliver notification"


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_order_of_received_spans_does_not_matter(shuffle: random.Random) -> None:
    calls = [create_span(f"S/Get{number}", "orders", APP) for number in range(3)]
    events = [create_span(f"publish e{number}", "orders", APP, kind="producer") for number in range(3)]
    spans = [ROOT, APP, *calls, *events]
    expected = texts(record(*spans))
    shuffle.shuffle(spans)
    assert texts(record(*spans)) == expected


@pytest.mark.parametrize("spans", [(), (ROOT, create_span("GET /", "gateway-envoy"))], ids=["none", "two"])
def test_other_than_one_root_span_raises_an_error(spans: tuple[Span, ...]) -> None:
    with pytest.raises((KeyError, ValueError)):
        build_messages(RecordedTrace(create_step(), spans))


def test_page_contains_participants_steps_and_messages() -> None:
    page = render_diagram(5, pay, [record(ROOT, APP, step=create_step("POST /orders", status=201))])
    title, _, note, _, fence, *lines, end, _ = page.split("\n")
    assert (title, fence, end) == ("# 5. The customer pays", "```mermaid", "```")
    assert "Do not edit" in note
    assert [line.strip() for line in lines] == [
        "sequenceDiagram",
        "actor customer",
        "participant gateway_envoy as gateway-envoy",
        "participant gateway",
        "note over customer: POST /orders",
        "customer->>gateway_envoy: POST /api/v1/orders",
        "gateway_envoy->>gateway: confirmOrder",
        "gateway_envoy-->>customer: 201",
    ]


def test_repeated_steps_are_drawn_once() -> None:
    traces = [record(ROOT, step=create_step("GET /deliveries", status=status)) for status in (200, 200, 422)]
    assert render_diagram(1, pay, traces).count("note over customer: GET /deliveries") == 2


@given(st.lists(st.text("abcdefg", min_size=1, max_size=MAX_LINE_CHARS), min_size=1, max_size=20, unique=True))
@settings(max_examples=20)
def test_long_labels_are_wrapped_at_commas(words: list[str]) -> None:
    queries = [create_span(word, "gateway", APP, kind="client", db__system__name="mongodb") for word in words]
    page = render_diagram(1, pay, [record(ROOT, APP, *queries)])
    (label,) = re.findall(r"gateway->>document_store: (.*)", page)
    lines = label.split("<br/>")
    assert all(len(line) <= MAX_LINE_CHARS + len(", ") for line in lines)
    assert ", ".join(lines).split(", ") == words


def test_every_scenario_has_a_page_with_its_own_traces() -> None:
    trace = record(ROOT, step=create_step("POST /orders", scenario="confirm"))
    pages = render_diagrams([trace])
    assert list(pages) == [
        f"{number}-{scenario.__name__.replace('_', '-')}.md" for number, scenario in enumerate(SCENARIOS, 1)
    ]
    assert [name for name, page in pages.items() if "POST /orders" in page] == ["4-confirm.md"]


def test_command_writes_a_page_per_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = ScenarioContext(httpx.Client(), httpx.Client(), Console(quiet=True), steps=[create_step()])
    monkeypatch.setattr(diagrams, "run_scenarios", lambda edge_url, sandbox_url: context)
    monkeypatch.setattr(diagrams, "collect_traces", lambda url, steps: [record(ROOT, step=step) for step in steps])
    assert diagrams.main(MeshConfig({"DELIVERY_STATE": str(tmp_path)}), tmp_path) == 0
    pages = render_diagrams([record(ROOT, step=step) for step in context.steps])
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")} == pages
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in pages]


def test_response_arrow_is_dashed() -> None:
    assert build_messages(record(ROOT))[-1] == Message("gateway-envoy", "-->>", "customer", "201")
