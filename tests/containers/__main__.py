"""`make test-containers`: run the system with Docker Compose and in pods; STEPS="compose pods" selects steps."""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console

from deploy.containers.substitute_images import find_image_reference, list_substitutes, read_labels
from tests.containers import report
from tests.containers.compose import ComposeResult, run_compose_test
from tests.containers.docker import DockerEngine
from tests.containers.interpreter import check_interpreter, read_configure_arguments
from tests.containers.podman import configure_podman, load_images
from tests.containers.replacement import run_pods_test
from tests.containers.report import Row
from tests.containers.terminal import ContainerTestError, Terminal

STEPS = ("compose", "pods")
IMAGE_VERSION = "1.0.0"
OWN_IMAGES = tuple(f"delivery/{name}:{IMAGE_VERSION}" for name in ("service", "local"))
SERVER_IMAGES = ("postgres", "mongo", "rabbitmq", "memcached", "fsouza/fake-gcs-server", "envoyproxy/envoy")


def prepare_images(terminal: Terminal) -> None:
    """Pull the servers' images or, without a registry, build substitutes; build the images of this repository.

    The builder of the engine does not share stages between parallel builds, hence one build at a time.

    Raises CommandError.
    """
    for substitute in list_substitutes():
        if read_labels(substitute.image) is None:
            pulled = subprocess.run(["docker", "pull", "--quiet", substitute.image], check=False, capture_output=True)
            if pulled.returncode:
                break
    terminal.run(
        sys.executable, "-u", "-m", "deploy.containers.substitute_images", title="images of servers and base images"
    )
    terminal.run("env", "COMPOSE_PARALLEL_LIMIT=1", "docker", "compose", "build", title="docker compose build")


def run_steps(terminal: Terminal, steps: list[str]) -> Iterator[Row]:
    """Run the steps and yield the rows of the closing table."""
    result: ComposeResult | None = None
    with DockerEngine() as engine:
        description = engine.describe()
        terminal.print(description)
        prepare_images(terminal)
        base_labels = read_labels(find_image_reference("python")) or {}
        interpreters = [check_interpreter(each, read_configure_arguments(each), base_labels) for each in OWN_IMAGES]
        if "compose" in steps:
            result = run_compose_test(terminal)
        labels = {image: read_labels(image) or {} for image in map(find_image_reference, report.SERVERS.values())}
        if "pods" in steps:
            configure_podman()
            with terminal.step("images for Podman"):
                load_images([*map(find_image_reference, SERVER_IMAGES), *OWN_IMAGES])
    if result is not None:
        yield from report.describe_compose(result, description)
    if "pods" in steps:
        yield from run_pods_test(terminal)
    yield from interpreters
    yield from report.describe_servers(result.versions if result else {}, labels)
    yield from (Row(subject, "replaced", detail) for subject, detail in report.REPLACED.items())
    if "pods" in steps:
        yield from (Row(subject, "not tested", detail) for subject, detail in report.NOT_TESTED_PODS.items())


def parse_steps(arguments: Sequence[str] | None = None) -> list[str]:
    """Return the steps of the command line, or all. Exits the process for other arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.containers")
    # Without a default, since argparse compares a default with the choices as a whole.
    parser.add_argument("steps", nargs="*", choices=STEPS)
    return parser.parse_args(arguments).steps or [*STEPS]


def main() -> int:
    """Run the steps of the command line, or all. Return the exit code."""
    console, steps = Console(), parse_steps()
    try:
        rows = [*run_steps(Terminal(console), steps)]
    except (ContainerTestError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    report.print_table(console, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
