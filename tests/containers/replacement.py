"""Pod test: run the Deployments in Podman, run the scenarios, and replace every service's pod under load."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.demo import scenarios
from deploy.local.infrastructure.services import SERVICES_WITH_DEMO_DATA
from tests.containers.compose import EDGE_URL, SANDBOX_URL, TRACES_URL
from tests.containers.demo_data import is_demo_ready
from tests.containers.load import BackgroundLoad
from tests.containers.podman import read_logs, run_podman
from tests.containers.pods import POLL_INTERVAL_S, SERVERS, SERVICES, START_TIMEOUT_S, PodmanCluster
from tests.containers.report import Row
from tests.containers.terminal import ContainerTestError, Terminal
from tests.wait import wait_until


@contextmanager
def diagnostics_on_failure(terminal: Terminal) -> Iterator[None]:
    """Print the containers and their last log lines if the block fails."""
    try:
        yield
    except (ContainerTestError, TimeoutError):
        terminal.print(run_podman("ps", "--all", "--format", "{{.Names}}  {{.Status}}"))
        for name in run_podman("ps", "--all", "--format", "{{.Names}}").split():
            terminal.print(f"-- {name}\n{read_logs(name)}")
        raise


def run_pods_test(terminal: Terminal) -> list[Row]:
    """Start the Deployments one after the other, run the scenarios, replace the pods, and return the closing rows.

    Raises ContainerTestError and TimeoutError.
    """
    with PodmanCluster() as cluster, diagnostics_on_failure(terminal):
        for name in (*SERVERS, *SERVICES):
            with terminal.step(f"pod {name}"):
                cluster.start_pod(name, "one")
        with terminal.step("demo data"):
            for name in SERVICES_WITH_DEMO_DATA:
                cluster.run_module(name, f"services.{name}", "demo-data")
            cluster.publish_ports({8080: ("gateway", 15021), 8090: ("sandbox", None)})
            wait_until(
                lambda: is_demo_ready(EDGE_URL),
                START_TIMEOUT_S,
                interval_s=POLL_INTERVAL_S,
                description="edge with demo data",
            )
        if scenarios.main(EDGE_URL, SANDBOX_URL, TRACES_URL):
            raise ContainerTestError("scenarios failed")
        requests = replace_pods(cluster, terminal)
    return [
        Row("seven scenarios in pods", "passed", "Deployments of the overlay substitutes, in Podman"),
        Row("replacement of every service's pod under load", "passed", f"{requests} requests, none failed"),
    ]


def replace_pods(cluster: PodmanCluster, terminal: Terminal) -> int:
    """Replace every service's pod under load and return the number of requests.

    Raises ContainerTestError with the failed requests.
    """
    with BackgroundLoad(EDGE_URL) as load:
        for name in SERVICES:
            with terminal.step(f"replace pod {name}"):
                cluster.replace_pod(name, "two")
    if load.failures:
        raise ContainerTestError("\n".join(load.failures[:20]))
    return load.status_counts.total()
