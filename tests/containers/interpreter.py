"""Build of the interpreter in an image: PGO and LTO are required, unless its base image is a local substitute."""

from collections.abc import Mapping

from bench.provenance import describe_build
from deploy.containers.substitute_images import SOURCE_LABEL, find_image_reference
from tests.containers.docker import run_docker
from tests.containers.report import Row
from tests.containers.terminal import ContainerTestError

REQUIRED_OPTIONS = ("--enable-optimizations", "--with-lto")
"""Options of the configure script that enable PGO and LTO."""

CODE = "import sysconfig; print(sysconfig.get_config_var('CONFIG_ARGS'))"


def read_configure_arguments(image: str) -> str:
    """Return the arguments of the configure script of an image's interpreter. Raises CommandError."""
    return run_docker("run", "--rm", "--network=none", "--entrypoint=python", image, "-c", CODE)


def check_interpreter(image: str, configure_arguments: str, base_labels: Mapping[str, str]) -> Row:
    """Return the row of an image, given the labels of the base image of Python.

    Raises ContainerTestError if the base image was pulled and its interpreter was built without PGO or LTO.
    """
    build, source = describe_build(configure_arguments), base_labels.get(SOURCE_LABEL)
    if all(option in configure_arguments for option in REQUIRED_OPTIONS):
        return Row(f"interpreter of {image}", "passed", f"{build}: {source or find_image_reference('python')}")
    if source is None:
        raise ContainerTestError(f"{image}: the interpreter was built {build}")
    return Row(f"interpreter of {image}", "replaced", f"{build}: {source}")
