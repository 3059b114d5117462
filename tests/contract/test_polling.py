"""Tests poll with the functions of tests/wait.py: no other `while` loop sleeps or compares the clock."""

import ast

import pytest

from tests.conftest import ROOT

POLLING_MODULE = "tests/wait.py"


def find_polling_loops(source: str) -> list[int]:
    """Return the line numbers of `while` loops that sleep or compare the monotonic clock with a deadline."""
    loops = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.While)]
    return sorted(loop.lineno for loop in loops if any(map(_is_poll, ast.walk(loop))))


def _is_poll(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(_calls(each, "monotonic") for each in ast.walk(node))
    return _calls(node, "sleep")


def _calls(node: ast.AST, function: str) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name == function
    return False


def test_only_polling_module_has_polling_loops() -> None:
    loops = {
        f"{name}:{line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) != POLLING_MODULE
        for line in find_polling_loops(path.read_text(encoding="utf-8"))
    }
    assert not loops, "use wait_until or wait_until_async of tests/wait.py"


@pytest.mark.parametrize(
    "loop",
    [
        "while not is_ready():\n    time.sleep(1)",
        "async def test() -> None:\n    while not is_ready():\n        await asyncio.sleep(0)",
        "while time.monotonic() < end:\n    process.wait(1)",
        "while True:\n    try:\n        connect()\n    except OSError:\n        sleep(0.1)",
    ],
    ids=["sleep", "asyncio sleep", "clock", "nested"],
)
def test_polling_loop_is_found(loop: str) -> None:
    assert len(find_polling_loops(loop)) == 1


@pytest.mark.parametrize(
    "loop",
    [
        "while page_token:\n    page_token = read_page(page_token)",
        "while data := read():\n    durations.append(time.monotonic() - started_at)",
    ],
    ids=["pages", "measurement"],
)
def test_loop_without_polling_is_allowed(loop: str) -> None:
    assert find_polling_loops(loop) == []
