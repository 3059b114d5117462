"""Closing table: what was tested, in which version, and what was replaced or not tested."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from deploy.containers.substitute_images import SOURCE_LABEL, find_image_reference
from tests.containers.compose import ComposeResult

SERVERS = {
    "postgres": "postgres",
    "mongo": "mongo",
    "rabbitmq": "rabbitmq",
    "memcached": "memcached",
    "objects": "fsouza/fake-gcs-server",
    "gateway-envoy": "envoyproxy/envoy",
    "gateway": "python",
}
"""Image repository by service of docker-compose.yml; the image of `gateway` has the base image of Python."""

NAMES = {"objects": "object storage (emulator)", "gateway-envoy": "Envoy", "gateway": "Python"}

REPLACED = {
    "Jaeger": "the trace viewer of this repository receives and shows the traces (compose.local.yml)",
    "OpenTelemetry Collector": "not started (compose.local.yml); the services export to the trace viewer",
    "banks, partners, Google, Apple, mail": "emulated by the sandbox, as in development",
}
NOT_TESTED_PODS = {
    "HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy": "not supported by Podman",
    "kubelet": "the test runs readiness and startup probes, Podman runs each liveness probe once",
    "rolling update, Service": "the test replaces pods as a Deployment does; an Envoy emulates the gateway's Service",
}


class Row(NamedTuple):
    """Row of the closing table."""

    subject: str
    verdict: str
    detail: str


VERDICT_STYLES = {
    "passed": "green",
    "real": "green",
    "other version": "yellow",
    "replaced": "yellow",
    "not tested": "red",
}


def describe_compose(result: ComposeResult, engine: str) -> Iterator[Row]:
    """Yield the checks of the Compose test."""
    yield Row("docker compose up --build --wait, down -v", "passed", engine)
    yield Row("seven scenarios through port 8080", "passed", "docker-compose.yml unmodified, with compose.local.yml")
    slowest = max(result.restarts, key=lambda service: result.restarts[service])
    yield Row(
        "restart of each container under load",
        "passed",
        f"{len(result.restarts)} containers, slowest {slowest} {result.restarts[slowest]:.0f} s; "
        f"{sum(result.retry_counts.values())} requests were repeated by clients",
    )
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(result.order_statuses.items()))
    yield Row("invariants of every order", "passed", f"{statuses}; no order lost, duplicated or stuck")
    yield Row("reconcile", "passed", f"{result.reconciled} orders, no discrepancy")


def describe_server(service: str, image: str, running_version: str, source: str) -> Row:
    """Return the row of a server: its version may differ from the image's if the image is a substitute.

    `source` describes the source of a substitute and is empty for a pulled image.
    """
    subject = NAMES.get(service, service)
    image_version = image.rpartition(":")[2].removeprefix("v").partition("-")[0]
    if not source:
        return Row(subject, "real", f"{image}, pulled; {running_version} runs".rstrip())
    if not running_version:
        return Row(subject, "real", f"{image} was not pulled; {source}")
    is_same = running_version == image_version or running_version.startswith(f"{image_version}.")
    detail = f"{image} was not pulled; {running_version} runs: {source}"
    return Row(subject, "real" if is_same else "other version", detail)


def describe_servers(versions: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> Iterator[Row]:
    """Yield the servers. `labels` contains the labels of each image."""
    for service, repository in SERVERS.items():
        image = find_image_reference(repository)
        yield describe_server(service, image, versions.get(service, ""), labels[image].get(SOURCE_LABEL, ""))


def print_table(console: Console, rows: Iterator[Row] | list[Row]) -> None:
    """Print the closing table."""
    table = Table(box=None, title_justify="left", pad_edge=False)
    for heading in ("subject", "result", "detail"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.subject, f"[{VERDICT_STYLES[row.verdict]}]{row.verdict}[/]", row.detail)
    console.print(table, highlight=False)
