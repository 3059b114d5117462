"""Output of steps and of failed commands."""

import io
import sys

import pytest
from rich.console import Console

from tests.containers.terminal import CommandError, Terminal, run_command


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def terminal(output: io.StringIO) -> Terminal:
    return Terminal(Console(file=output, width=100))


def test_step_prints_its_title_and_duration(terminal: Terminal, output: io.StringIO) -> None:
    terminal.run(sys.executable, "-c", "print('[bold]detail')", title="a [step]")
    assert output.getvalue().splitlines() == ["a [step] …", "a [step]  0 s"]


def test_failed_step_raises_the_end_of_its_output(terminal: Terminal) -> None:
    with pytest.raises(CommandError) as raised:
        terminal.run(sys.executable, "-c", "for i in range(99): print('line', i)\nraise SystemExit(3)")
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("failed: ")
    assert lines[-1] == "  line 98"
    assert "  line 1" not in lines


def test_command_returns_its_standard_output() -> None:
    assert run_command(sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)") == "out"


def test_failed_command_raises_both_outputs() -> None:
    with pytest.raises(CommandError, match=r"(?s)out.*err"):
        run_command(sys.executable, "-c", "import sys; print('out'); sys.exit('err')")
