"""`make containers-test`: builds images, passes the scenarios in compose and in pods, and replaces pods under load."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.containers import substitute_images
from deploy.local.demo import scenarios
from tests.containers.load import BackgroundLoad
from tests.containers.podman import build_image, configure_podman, is_healthy, read_logs, run_compose, run_podman
from tests.containers.pods import SERVERS, SERVICES, PodmanCluster
from tests.containers.wait import is_demo_ready, wait_until

EDGE_URL, SANDBOX_URL, TRACES_URL = "http://127.0.0.1:8080", "http://127.0.0.1:8090", "http://127.0.0.1:16686"
IMAGE_VERSION = "0.1.0"

IMAGE_BY_SERVER = {
    "postgres": "postgres",
    "rabbitmq": "rabbitmq",
    "memcached": "memcached",
    "objects": "fsouza/fake-gcs-server",
    "sidecars": "envoyproxy/envoy",
    "Python of our images": "python",
    "Node of our images": "node",
}
"""Servers by the image that they ran in, which was pulled or made here; both have the same name."""

SUBSTITUTES = {
    "mongo": "delivery/document-store: mongoeco on SQLite",
    "jaeger": "delivery/trace-viewer",
    "sandbox": "the outside world, which is played everywhere but in production",
}
NOT_TESTED = (
    "Docker's engine and docker-compose.yml without compose.local.yml: MongoDB, Jaeger, the collector",
    "HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy: Podman knows none of them",
    "readiness and startup probes: asked by this test as a kubelet would, not by Podman",
    "liveness: each probe is run once by Podman; its timers need systemd",
    "rolling: done by this test as a Deployment does it; the gateway's Service is an Envoy that balances connections",
)


class ContainerTestError(Exception):
    """Something was not as it must be."""


def run_compose_test() -> None:
    """What `docker compose up` does; that services wait for healthy servers, which Podman 4 cannot, is done here."""
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
    """All seven, from outside, as soon as there is an outside; then every container says that it is well.

    Raises Failed and TimeoutError.
    """
    wait_until("the edge, with its data,", lambda: is_demo_ready(EDGE_URL))
    if scenarios.main(EDGE_URL, SANDBOX_URL, TRACES_URL):
        raise ContainerTestError("the scenarios did not pass")
    wait_until_healthy()


def wait_for_demo_data() -> None:
    """Waits for the demo's accounts: to sign in before there are any counts as guessing. Raises Failed."""
    names = run_podman("ps", "--all", "--filter=name=-demo_", "--format", "{{.Names}}").split()
    ends = run_podman("wait", *names).split()
    if failed := [name for name, end in zip(names, ends, strict=True) if end != "0"]:
        raise ContainerTestError(f"{', '.join(failed)} failed")


def wait_until_healthy() -> None:
    """Waits until no container's health check fails. Raises TimeoutError."""
    wait_until("health of all containers", lambda: not list_unhealthy(), 60)


@contextmanager
def diagnostics_on_failure() -> Iterator[None]:
    """Before what goes wrong goes further: what runs, and the last words of everybody."""
    try:
        yield
    except (ContainerTestError, TimeoutError):
        print(run_podman("ps", "--all", "--format", "{{.Names}}  {{.Status}}"))
        for name in run_podman("ps", "--all", "--format", "{{.Names}}").split():
            print(f"-- {name}", read_logs(name), sep="\n")
        raise


def list_unhealthy() -> list[str]:
    """Running containers whose health check, if they have one, fails now."""
    asked = "{{.Name}} {{with .Config.Healthcheck}}{{index .Test 0}}{{end}}"
    running = run_podman("ps", "--format", "{{.Names}}").split()
    said = (run_podman("inspect", name, "--format", asked).partition(" ") for name in running)
    return [name for name, _, kind in said if kind not in ("", "NONE") and not is_healthy(name)]


def run_pods_test() -> None:
    """What `kubectl apply -k` does, one Deployment after the other."""
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
    """Replaces every pod of ours while customers go on. Raises Failed with what they noticed."""
    with BackgroundLoad(EDGE_URL) as load:
        for name in SERVICES:
            print(f"replacing {name} …", flush=True)
            cluster.replace_pod(name, "two")
    said = ", ".join(f"{times} × {status}" for status, times in sorted(load.status_counts.items()))
    print(f"every pod replaced under load: {said}; {len(load.failures)} failed requests")
    if load.failures:
        raise ContainerTestError("\n".join(load.failures[:20]))


def build_images() -> None:
    """What is not there; ours always, which is quick when nothing has changed."""
    substitute_images.main()
    build_image("service", f"delivery/service:{IMAGE_VERSION}")
    build_image("local", *(f"delivery/{name}:{IMAGE_VERSION}" for name in ("local", "document-store", "trace-viewer")))


def print_report(console: Console) -> None:
    """What was real, and what was not run at all."""
    table = Table(box=None, title_justify="left", title="what ran")
    for heading in ("server", "", "which"):
        table.add_column(heading, style="" if heading else "bold")
    for name, repository in IMAGE_BY_SERVER.items():
        image = substitute_images.find_image_reference(repository)
        said = run_podman(
            "image", "inspect", image, "--format", f'{{{{index .Labels "{substitute_images.SOURCE_LABEL}"}}}}'
        )
        table.add_row(name, "real", f"{image}, made of: {said}" if said else f"{image}, not said to be made here")
    for name, which in SUBSTITUTES.items():
        table.add_row(name, "stand-in", which)
    console.print(table)
    console.print("not run:", *(f"  {line}" for line in NOT_TESTED), sep="\n")


def main() -> int:
    """0 when all passed."""
    configure_podman()
    steps: dict[str, Callable[[], None]] = {"images": build_images, "compose": run_compose_test, "pods": run_pods_test}
    wanted = sys.argv[1:] or [*steps]
    for name in wanted:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            steps[name]()
        except (ContainerTestError, TimeoutError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    if wanted == [*steps]:
        print_report(Console(soft_wrap=True))
    return 0


if __name__ == "__main__":
    Path(".local").mkdir(exist_ok=True)
    sys.exit(main())
