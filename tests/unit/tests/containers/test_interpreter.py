"""Requirements on the build of the interpreter in an image."""

import pytest

from deploy.containers.substitute_images import SOURCE_LABEL
from tests.containers.interpreter import check_interpreter
from tests.containers.report import VERDICT_STYLES
from tests.containers.terminal import ContainerTestError

OPTIMISED = "'--enable-optimizations' '--enable-shared' '--with-lto'"
SUBSTITUTE = {SOURCE_LABEL: "local Python"}


@pytest.mark.parametrize("arguments", ["'--enable-shared'", "'--enable-optimizations'", "'--with-lto'", "None"])
def test_pulled_image_without_an_optimisation_fails(arguments: str) -> None:
    with pytest.raises(ContainerTestError, match="delivery/service: the interpreter was built"):
        check_interpreter("delivery/service", arguments, {})


def test_substitute_without_optimisations_is_reported() -> None:
    row = check_interpreter("delivery/service", "'--enable-shared'", SUBSTITUTE)
    assert (row.verdict, row.detail) == ("replaced", "without PGO, without LTO: local Python")
    assert row.verdict in VERDICT_STYLES


@pytest.mark.parametrize(("labels", "source"), [({}, "python:3.13"), (SUBSTITUTE, "local Python")])
def test_optimised_interpreter_passes(labels: dict[str, str], source: str) -> None:
    row = check_interpreter("delivery/service", OPTIMISED, labels)
    assert row.verdict == "passed"
    assert row.detail.startswith(f"with PGO, with LTO: {source}")
