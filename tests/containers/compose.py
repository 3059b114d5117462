"""Compose test: start, run the scenarios, restart each container under load, check the orders, and stop."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.local.demo import scenarios
from tests.chaos import run as chaos
from tests.chaos.client import ChaosClient, StuckError
from tests.chaos.observations import observe
from tests.chaos.workload import PartnerInboxes, WorkloadDriver, plan_scenarios
from tests.conftest import ROOT
from tests.containers.docker import run_docker
from tests.containers.terminal import ContainerTestError, Terminal
from tests.wait import wait_until

EDGE_URL, SANDBOX_URL, TRACES_URL = "http://127.0.0.1:8080", "http://127.0.0.1:8090", "http://127.0.0.1:16686"

ORDER_COUNT, CUSTOMER_COUNT = 100, 6
EXCLUDED_PLANS = ("never pay",)
"""Scenarios of orders that take longer than the test: an unpaid order expires after half an hour."""

HEALTH_TIMEOUT_S, ORDER_TIMEOUT_S = 240.0, 900.0
STABILISATION_TIMEOUT_S = 330.0
"""Longer than the fourth delay between attempts at a partner or a bank."""

LOG_PATH = ROOT / ".local/containers/compose.log"

ONE_SHOT_SUFFIXES = ("setup", "-demo")
"""Containers that run to completion."""

RECONCILE_COMMAND = ("env", "RECONCILE_QUIET_PERIOD_SECONDS=0", "python", "-m", "services.orders", "reconcile")
RECONCILE_PATTERN = re.compile(r"(\d+) orders reconciled, (\d+) discrepancies, (\d+) stuck; (\d+) overdue events")

VERSION_COMMANDS = {
    "postgres": ("postgres", "--version"),
    "mongo": ("mongod", "--version"),
    "rabbitmq": ("rabbitmqctl", "version"),
    "memcached": ("memcached", "--version"),
    "gateway-envoy": ("envoy", "--version"),
    "gateway": ("python", "--version"),
}
"""Command that prints the version of a container's program."""

HEALTH_LOG_TEMPLATE = "{{range .State.Health.Log}}{{.Start}} exit code {{.ExitCode}} {{.Output}}\n{{end}}"

VERSION_PATTERN = re.compile(r"\d+\.\d+(?:\.\d+)?")


@dataclass(frozen=True)
class ComposeResult:
    """Results of the Compose test for the closing table."""

    versions: Mapping[str, str]
    """Version that the program in a container reports, by service."""
    restarts: Mapping[str, float]
    """Seconds from the restart to health, by service."""
    order_statuses: Mapping[str, int]
    retry_counts: Mapping[str, int]
    reconciled: int


class ComposeSystem:
    """The running containers, as the target of the workload."""

    edge_url, sandbox_url = EDGE_URL, SANDBOX_URL

    @property
    def broker_url(self) -> str:
        """AMQP URL of the operator at the present address of the broker's container, whose port is not published."""
        container = run_docker("compose", "ps", "--quiet", "rabbitmq")
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return f"amqp://operator:local@{run_docker('inspect', '--format', template, container)}/delivery"

    @property
    def webhook_secret(self) -> str:
        """Signing secret of the webhooks of banks and partners."""
        return run_in("sandbox", "cat", "/run/secrets/demo_webhook_secret")


def run_in(service: str, *command: str) -> str:
    """Run a command in a container and return its standard output. Raises CommandError."""
    return run_docker("compose", "exec", "--no-TTY", service, *command)


def list_containers(output: str) -> dict[str, dict[str, Any]]:
    """Return the containers by service from the output of `docker compose ps --format json`, one object per line."""
    return {container["Service"]: container for container in map(json.loads, output.splitlines())}


def is_one_shot(service: str) -> bool:
    """Return whether the container of a service runs to completion."""
    return service.endswith(ONE_SHOT_SUFFIXES)


def is_healthy(container: Mapping[str, Any]) -> bool:
    """Return whether a container runs and its health check, if it has one, succeeds."""
    return container["State"] == "running" and container.get("Health", "") in ("", "healthy")


def has_failed(container: Mapping[str, Any]) -> bool:
    """Return whether a container is neither healthy nor completed nor waiting for another one."""
    return not (is_healthy(container) or container["State"] == "created") and not (
        container["State"] == "exited" and container["ExitCode"] == 0 and is_one_shot(container["Service"])
    )


def parse_reconciliation(output: str) -> int:
    """Return the number of reconciled orders. Raises ContainerTestError if there are findings or no summary."""
    match = RECONCILE_PATTERN.search(output)
    if match is None or any(int(count) for count in match.groups()[1:]):
        raise ContainerTestError(f"reconcile found discrepancies:\n{output}")
    return int(match.group(1))


def parse_version(output: str) -> str:
    """Return the first version number of a program's output."""
    match = VERSION_PATTERN.search(output)
    return match.group() if match else "unknown version"


@dataclass
class Restarts:
    """Restarts every long-running container, one after the other, and waits until it is healthy again."""

    terminal: Terminal
    services: Sequence[str]
    durations_s: dict[str, float] = field(default_factory=dict)
    progressed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float:
        """Fraction of the containers that have been restarted, 0 to 1."""
        return len(self.durations_s) / len(self.services)

    async def restart_all(self) -> None:
        """Restart all containers. Raises ContainerTestError and TimeoutError."""
        for service in self.services:
            started_at = time.monotonic()
            await asyncio.to_thread(self._restart, service)
            self.durations_s[service] = time.monotonic() - started_at
            self.progressed.set()

    def _restart(self, service: str) -> None:
        with self.terminal.step(f"docker compose restart {service}"):
            run_docker("compose", "restart", service)
            wait_until(
                lambda: is_healthy(list_containers(run_docker("compose", "ps", "--format", "json", service))[service]),
                HEALTH_TIMEOUT_S,
                interval_s=0.5,
                description=f"health of {service}",
            )


async def restart_under_load(
    terminal: Terminal, services: Sequence[str]
) -> tuple[Restarts, Counter[str], Counter[str]]:
    """Restart each container while orders are in progress, then check the invariants of all orders.

    Return the restarts, the orders by final status, and the repeated requests by reason. Raises ContainerTestError.
    """
    restarts = Restarts(terminal, services)
    async with ChaosClient(ComposeSystem()) as client:
        admin = await client.sign_in("admin@delivery.test", "demo-admin")
        deliverer = await client.sign_in("deliverer@delivery.test", "demo-deliverer")
        customers = [await client.sign_up(f"restart-{number}") for number in range(CUSTOMER_COUNT)]
        orders = plan_scenarios(1, ORDER_COUNT, customers, EXCLUDED_PLANS)
        driver = WorkloadDriver(client, admin, deliverer, PartnerInboxes(client), ORDER_TIMEOUT_S)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(restarts.restart_all())
                await chaos.run_workload(driver, restarts, orders)
        except* (ContainerTestError, TimeoutError) as group:
            raise ContainerTestError(*map(str, group.exceptions)) from None
        findings, statuses = await chaos.wait_until_stable(
            lambda: observe(client, admin, customers, orders, services),
            ComposeSystem().broker_url,
            STABILISATION_TIMEOUT_S,
            terminal.console,
        )
    if findings:
        raise ContainerTestError("\n".join(f"{each.kind} {each.subject}: {each.description}" for each in findings))
    return restarts, statuses, client.retry_counts


def print_diagnostics(terminal: Terminal) -> None:
    """Print the containers, the last log lines and health checks of those that failed; write all logs to LOG_PATH."""
    LOG_PATH.write_text(run_docker("compose", "logs", "--no-color", "--timestamps"), encoding="utf-8")
    terminal.print(run_docker("compose", "ps", "--all", "--format", "{{.Service}}  {{.Status}}"))
    containers = list_containers(run_docker("compose", "ps", "--all", "--format", "json"))
    for service in filter(lambda name: has_failed(containers[name]), containers):
        terminal.print(run_docker("compose", "logs", "--no-color", "--tail", "15", service))
        if containers[service].get("Health"):
            terminal.print(run_docker("inspect", "--format", HEALTH_LOG_TEMPLATE, containers[service]["ID"]))
    terminal.print(f"logs of all containers: {LOG_PATH}")


def run_compose_test(terminal: Terminal) -> ComposeResult:
    """Run the commands of a user with Compose, and the checks.

    Raises ContainerTestError, after printing the state and the last log lines of the containers.
    """
    try:
        terminal.run("docker", "compose", "up", "--build", "--wait")
        if scenarios.main(EDGE_URL, SANDBOX_URL, TRACES_URL):
            raise ContainerTestError("scenarios failed")
        containers = list_containers(run_docker("compose", "ps", "--format", "json"))
        services = [service for service in containers if not is_one_shot(service)]
        restarts, statuses, retry_counts = asyncio.run(restart_under_load(terminal, services))
        reconciled = parse_reconciliation(run_in("orders", *RECONCILE_COMMAND))
        if reconciled < statuses.total():
            raise ContainerTestError(f"reconcile checked {reconciled} of {statuses.total()} orders")
        versions = {name: parse_version(run_in(name, *command)) for name, command in VERSION_COMMANDS.items()}
        return ComposeResult(versions, restarts.durations_s, statuses, retry_counts, reconciled)
    except (ContainerTestError, StuckError, httpx.HTTPError) as error:
        print_diagnostics(terminal)
        raise ContainerTestError(str(error)) from error
    finally:
        terminal.run("docker", "compose", "down", "-v")
