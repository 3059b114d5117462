"""Rows of the closing table."""

import io

import pytest
from rich.console import Console

from deploy.containers.substitute_images import SOURCE_LABEL, find_image_reference
from tests.containers.compose import ComposeResult
from tests.containers.report import (
    SERVERS,
    VERDICT_STYLES,
    Row,
    describe_compose,
    describe_server,
    describe_servers,
    print_table,
)


@pytest.mark.parametrize(
    ("image", "version", "source", "verdict"),
    [
        ("rabbitmq:4.2", "3.10.8", "RabbitMQ from Debian", "other version"),
        ("mongo:8.2", "6.0.5", "a wheel", "other version"),
        ("memcached:1.6", "1.6.18", "Memcached from Debian", "real"),
        ("memcached:1.6", "1.60.1", "Memcached from Debian", "other version"),
        ("envoyproxy/envoy:v1.40.0", "1.40.0", "a wheel", "real"),
        ("python:3.13.9-slim-bookworm", "3.13.9", "local Python", "real"),
        ("python:3.13.9-slim-bookworm", "3.13.8", "local Python", "other version"),
        ("rabbitmq:4.2", "4.2.1", "", "real"),
        ("postgres:18.1", "", "a wheel", "real"),
    ],
)
def test_substitute_of_another_version_is_named(image: str, version: str, source: str, verdict: str) -> None:
    row = describe_server("service", image, version, source)
    assert row.verdict == verdict
    assert all(part in row.detail for part in (image, version, source))


def test_pulled_image_is_distinguished_from_a_substitute() -> None:
    assert "not pulled" not in describe_server("rabbitmq", "rabbitmq:4.2", "4.2.1", "").detail
    assert "was not pulled" in describe_server("rabbitmq", "rabbitmq:4.2", "4.2.1", "Debian").detail


def test_every_server_has_a_row() -> None:
    labels = {find_image_reference(repository): {SOURCE_LABEL: "a test"} for repository in SERVERS.values()}
    assert len([*describe_servers({}, labels)]) == len(SERVERS)


def test_compose_rows_contain_the_counts() -> None:
    result = ComposeResult({}, {"orders": 3.0, "rabbitmq": 12.4}, {"delivered": 5, "cancelled": 2}, {"503": 4}, 8)
    details = {row.subject: row.detail for row in describe_compose(result, "Docker Engine 1")}
    assert details["restart of each container under load"].startswith("2 containers, slowest rabbitmq 12 s; 4 requests")
    assert details["invariants of every order"].startswith("2 cancelled, 5 delivered;")
    assert details["reconcile"] == "8 orders, no discrepancy"


def test_table_contains_every_row() -> None:
    output = io.StringIO()
    print_table(
        Console(file=output, width=100), [Row(f"subject {verdict}", verdict, "x") for verdict in VERDICT_STYLES]
    )
    assert all(f"subject {verdict}" in output.getvalue() for verdict in VERDICT_STYLES)
