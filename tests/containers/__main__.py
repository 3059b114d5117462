"""`make test-containers`: build images, run the scenarios with Compose and in pods, and replace pods under load."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.containers import substitute_images
from deploy.local.demo import scenarios
from tests.containers.demo_data import is_demo_ready
from tests.containers.load import BackgroundLoad
from tests.containers.podman import build_image, configure_podman, is_healthy, read_logs, run_compose, run_podman
from tests.containers.pods import POLL_INTERVAL_S, SERVERS, SERVICES, START_TIMEOUT_S, PodmanCluster
from tests.wait import wait_until

EDGE_URL, SANDBOX_URL, TRACES_URL = "http://127.0.0.1:8080", "http://127.0.0.1:8090", "http://127.0.0.1:16686"
IMAGE_VERSION = "1.0.0"

IMAGE_BY_SERVER = {
    "postgres": "postgres",
    "mongo": "mongo",
    "rabbitmq": "rabbitmq",
    "memcached": "memcached",
    "objects": "fsouza/fake-gcs-server",
    "sidecars": "envoyproxy/envoy",
    "Python base image": "python",
    "Node base image": "node",
}
"""Image repository by server. The image was pulled or built by `deploy.containers.substitute_images`."""

SUBSTITUTES = {
    "jaeger": "delivery/trace-viewer",
    "sandbox": "emulates the external systems outside production",
}
NOT_TESTED = (
    "Docker Engine, and docker-compose.yml without compose.local.yml: Jaeger, the collector",
    "HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy: not supported by Podman",
    "readiness and startup probes: run by this test instead of a kubelet",
    "liveness probes: run once by Podman; periodic probes need systemd",
    "rolling update: done by this test as by a Deployment; an Envoy load balancer emulates the gateway's Service",
)


class ContainerTestError(Exception):
    """A check of the container tests failed."""


def run_compose_test() -> None:
    """Run the scenarios with Compose.

    The servers are started first, since Podman 4 does not support `depends_on` with a health condition.
    """
    try:
        with diagnostics_on_failure():
            run_compose("up", "--detach", "--no-build", *SERVERS)
            wait_until_healthy()
            run_compose("up", "--detach", "--no-build")
            wait_for_demo_data()
            run_scenarios()
    finally:
        run_compose("down", "--volumes", "--timeout", "5")


def run_scenarios() -> None:
    """Run the scenarios as soon as the demo data is loaded, and check the health of all containers.

    Raises ContainerTestError and TimeoutError.
    """
    wait_until(
        lambda: is_demo_ready(EDGE_URL),
        START_TIMEOUT_S,
        interval_s=POLL_INTERVAL_S,
        description="edge with demo data",
    )
    if scenarios.main(EDGE_URL, SANDBOX_URL, TRACES_URL):
        raise ContainerTestError("scenarios failed")
    wait_until_healthy()


def wait_for_demo_data() -> None:
    """Wait for the demo accounts: sign-ins before they exist would count as failed attempts.

    Raises ContainerTestError.
    """
    names = run_podman("ps", "--all", "--filter=name=-demo_", "--format", "{{.Names}}").split()
    exit_codes = run_podman("wait", *names).split()
    if failed := [name for name, exit_code in zip(names, exit_codes, strict=True) if exit_code != "0"]:
        raise ContainerTestError(f"{', '.join(failed)} failed")


def wait_until_healthy() -> None:
    """Wait until all health checks pass. Raises TimeoutError."""
    wait_until(lambda: not list_unhealthy(), 60, interval_s=POLL_INTERVAL_S, description="health of all containers")


@contextmanager
def diagnostics_on_failure() -> Iterator[None]:
    """Print the containers and their last log lines if the block fails."""
    try:
        yield
    except (ContainerTestError, TimeoutError):
        print(run_podman("ps", "--all", "--format", "{{.Names}}  {{.Status}}"))
        for name in run_podman("ps", "--all", "--format", "{{.Names}}").split():
            print(f"-- {name}", read_logs(name), sep="\n")
        raise


def list_unhealthy() -> list[str]:
    """Return the running containers whose health check fails."""
    template = "{{.Name}} {{with .Config.Healthcheck}}{{index .Test 0}}{{end}}"
    running = run_podman("ps", "--format", "{{.Names}}").split()
    checks = (run_podman("inspect", name, "--format", template).partition(" ") for name in running)
    return [name for name, _, kind in checks if kind not in ("", "NONE") and not is_healthy(name)]


def run_pods_test() -> None:
    """Start the Deployments in pods one after the other, run the scenarios and replace the pods."""
    with PodmanCluster() as cluster, diagnostics_on_failure():
        for name in (*SERVERS, *SERVICES):
            print(f"starting {name} …", flush=True)
            cluster.start_pod(name, "one")
        for name in ("orders", "partners", "gateway"):
            cluster.run_module(name, f"services.{name}", "demo-data")
        cluster.publish_ports({8080: ("gateway", 15021), 8090: ("sandbox", None)})
        run_scenarios()
        replace_pods(cluster)


def replace_pods(cluster: PodmanCluster) -> None:
    """Replace every service's pod under load. Raises ContainerTestError with the failed requests."""
    with BackgroundLoad(EDGE_URL) as load:
        for name in SERVICES:
            print(f"replacing {name} …", flush=True)
            cluster.replace_pod(name, "two")
    counts = ", ".join(f"{count} × {status}" for status, count in sorted(load.status_counts.items()))
    print(f"every pod replaced under load: {counts}; {len(load.failures)} failed requests")
    if load.failures:
        raise ContainerTestError("\n".join(load.failures[:20]))


def build_images() -> None:
    """Build the missing substitute images and, using the build cache, the images of this repository."""
    substitute_images.main()
    build_image("service", f"delivery/service:{IMAGE_VERSION}")
    build_image("local", *(f"delivery/{name}:{IMAGE_VERSION}" for name in ("local", "trace-viewer")))


def print_report(console: Console) -> None:
    """Print the tested servers with their images, and what was not tested."""
    table = Table(box=None, title_justify="left", title="tested")
    for heading in ("server", "", "image"):
        table.add_column(heading, style="" if heading else "bold")
    for name, repository in IMAGE_BY_SERVER.items():
        image = substitute_images.find_image_reference(repository)
        source = run_podman(
            "image", "inspect", image, "--format", f'{{{{index .Labels "{substitute_images.SOURCE_LABEL}"}}}}'
        )
        table.add_row(name, "real", f"{image}, built from {source}" if source else f"{image}, without a source label")
    for name, description in SUBSTITUTES.items():
        table.add_row(name, "substitute", description)
    console.print(table)
    console.print("not tested:", *(f"  {line}" for line in NOT_TESTED), sep="\n")


def main() -> int:
    """Run the steps of the command line, or all. Return the exit code."""
    configure_podman()
    steps: dict[str, Callable[[], None]] = {"images": build_images, "compose": run_compose_test, "pods": run_pods_test}
    selected = sys.argv[1:] or [*steps]
    for name in selected:
        started_at = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            steps[name]()
        except (ContainerTestError, TimeoutError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"== {name}: {time.monotonic() - started_at:.0f} s", flush=True)
    if selected == [*steps]:
        print_report(Console(soft_wrap=True))
    return 0


if __name__ == "__main__":
    Path(".local").mkdir(exist_ok=True)
    sys.exit(main())
