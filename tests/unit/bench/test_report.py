"""Report of benchmark results: the build of the interpreter."""

import pytest

from bench.report import describe_build, describe_machine


@pytest.mark.parametrize(
    ("arguments", "build"),
    [
        ("'--enable-optimizations' '--with-lto'", "with PGO, with LTO"),
        ("'--enable-optimizations' '--enable-shared'", "with PGO, without LTO"),
        ("", "without PGO, without LTO"),
    ],
)
def test_build_of_interpreter_is_described(arguments: str, build: str) -> None:
    assert describe_build(arguments) == build


def test_description_of_machine_contains_build_of_interpreter() -> None:
    text = " ".join(describe_machine().split())
    assert "PGO, with" in text
    assert "LTO)" in text
