"""`make containers-test`: builds images, passes the scenarios in compose and in pods, and replaces pods under load."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.containers import standins
from deploy.local import scenarios
from tests.containers.awaiting import answers, until
from tests.containers.kube import SERVERS, SERVICES, Cluster
from tests.containers.load import Load
from tests.containers.podman import build, compose, healthy, logs, podman, prepare

EDGE, SANDBOX, TRACES = "http://127.0.0.1:8080", "http://127.0.0.1:8090", "http://127.0.0.1:16686"
VERSION = "0.1.0"

SERVED_BY = {
    "postgres": "postgres",
    "rabbitmq": "rabbitmq",
    "memcached": "memcached",
    "objects": "fsouza/fake-gcs-server",
    "sidecars": "envoyproxy/envoy",
    "Python of our images": "python",
    "Node of our images": "node",
}
"""Servers by the image that they ran in, which was pulled or made here; both have the same name."""

STOOD_IN = {
    "mongo": "delivery/document-store: mongoeco on SQLite",
    "jaeger": "delivery/trace-viewer",
    "sandbox": "the outside world, which is played everywhere but in production",
}
NOT_RUN = (
    "Docker's engine and docker-compose.yml without compose.local.yml: MongoDB, Jaeger, the collector",
    "HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy: Podman knows none of them",
    "readiness and startup probes: asked by this test as a kubelet would, not by Podman",
    "liveness: each probe is run once by Podman; its timers need systemd",
    "rolling: done by this test as a Deployment does it; the gateway's Service is an Envoy that balances connections",
)


class Failed(Exception):
    """Something was not as it must be."""


def in_compose() -> None:
    """What `docker compose up` does; that services wait for healthy servers, which Podman 4 cannot, is done here."""
    try:
        with explained():
            compose("up", "--detach", "--no-build", *SERVERS)
            await_health()
            compose("up", "--detach", "--no-build")
            await_demo()
            pass_scenarios()
    finally:
        compose("down", "--volumes", "--timeout", "5")


def pass_scenarios() -> None:
    """All seven, from outside, as soon as there is an outside; then every container says that it is well.

    Raises Failed and TimeoutError.
    """
    until("the edge, with its data,", lambda: answers(EDGE))
    if scenarios.main(EDGE, SANDBOX, TRACES):
        raise Failed("the scenarios did not pass")
    await_health()


def await_demo() -> None:
    """Waits for the demo's accounts: to sign in before there are any counts as guessing. Raises Failed."""
    names = podman("ps", "--all", "--filter=name=-demo_", "--format", "{{.Names}}").split()
    ends = podman("wait", *names).split()
    if failed := [name for name, end in zip(names, ends, strict=True) if end != "0"]:
        raise Failed(f"{', '.join(failed)} failed")


def await_health() -> None:
    """Waits until no container's health check fails. Raises TimeoutError."""
    until("health of all containers", lambda: not ailing(), 60)


@contextmanager
def explained() -> Iterator[None]:
    """Before what goes wrong goes further: what runs, and the last words of everybody."""
    try:
        yield
    except (Failed, TimeoutError):
        print(podman("ps", "--all", "--format", "{{.Names}}  {{.Status}}"))
        for name in podman("ps", "--all", "--format", "{{.Names}}").split():
            print(f"-- {name}", logs(name), sep="\n")
        raise


def ailing() -> list[str]:
    """Running containers whose health check, if they have one, fails now."""
    asked = "{{.Name}} {{with .Config.Healthcheck}}{{index .Test 0}}{{end}}"
    running = podman("ps", "--format", "{{.Names}}").split()
    said = (podman("inspect", name, "--format", asked).partition(" ") for name in running)
    return [name for name, _, kind in said if kind not in ("", "NONE") and not healthy(name)]


def in_pods() -> None:
    """What `kubectl apply -k` does, one Deployment after the other."""
    with Cluster() as cluster, explained():
        for name in (*SERVERS, *SERVICES):
            print(f"starting {name} …", flush=True)
            cluster.play(name, "one")
        for name in ("orders", "partners", "gateway"):
            cluster.run(name, f"services.{name}", "demo-data")
        cluster.publish({8080: ("gateway", 15021), 8090: ("sandbox", None)})
        pass_scenarios()
        roll(cluster)


def roll(cluster: Cluster) -> None:
    """Replaces every pod of ours while customers go on. Raises Failed with what they noticed."""
    with Load(EDGE) as load:
        for name in SERVICES:
            print(f"replacing {name} …", flush=True)
            cluster.roll(name, "two")
    said = ", ".join(f"{times} × {status}" for status, times in sorted(load.answers.items()))
    print(f"every pod replaced under load: {said}; {len(load.failures)} failed requests")
    if load.failures:
        raise Failed("\n".join(load.failures[:20]))


def make_images() -> None:
    """What is not there; ours always, which is quick when nothing has changed."""
    standins.main()
    build("service", f"delivery/service:{VERSION}")
    build("local", *(f"delivery/{name}:{VERSION}" for name in ("local", "document-store", "trace-viewer")))


def show(console: Console) -> None:
    """What was real, and what was not run at all."""
    table = Table(box=None, title_justify="left", title="what ran")
    for heading in ("server", "", "which"):
        table.add_column(heading, style="" if heading else "bold")
    for name, repository in SERVED_BY.items():
        image = standins.named(repository)
        said = podman("image", "inspect", image, "--format", f'{{{{index .Labels "{standins.LABEL}"}}}}')
        table.add_row(name, "real", f"{image}, made of: {said}" if said else f"{image}, not said to be made here")
    for name, which in STOOD_IN.items():
        table.add_row(name, "stand-in", which)
    console.print(table)
    console.print("not run:", *(f"  {line}" for line in NOT_RUN), sep="\n")


def main() -> int:
    """0 when all passed."""
    prepare()
    steps: dict[str, Callable[[], None]] = {"images": make_images, "compose": in_compose, "pods": in_pods}
    wanted = sys.argv[1:] or [*steps]
    for name in wanted:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            steps[name]()
        except (Failed, TimeoutError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    if wanted == [*steps]:
        show(Console(soft_wrap=True))
    return 0


if __name__ == "__main__":
    Path(".local").mkdir(exist_ok=True)
    sys.exit(main())
