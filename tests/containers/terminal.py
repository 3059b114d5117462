"""Commands with their progress on the terminal: the last line of output, the duration, and the output of a failure."""

import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from tests.conftest import ROOT

SHOWN_LINES = 30
"""Lines of output that are printed if a command fails."""


class ContainerTestError(Exception):
    """A check of the container test failed."""


class CommandError(ContainerTestError):
    """A command failed. The message contains the command and the end of its output."""


def run_command(*command: str) -> str:
    """Run a command in the repository and return its standard output without final newline. Raises CommandError."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8")
    if result.returncode:
        raise CommandError(format_failure(command, (result.stdout + result.stderr).splitlines()))
    return result.stdout.strip()


def format_failure(command: tuple[str, ...], lines: list[str]) -> str:
    """Return the command and the last lines of its output."""
    return "\n".join([f"failed: {' '.join(command)}", *(f"  {line}" for line in lines[-SHOWN_LINES:])])


class Terminal:
    """Console that shows the running step; without a terminal, one line when a step begins and one when it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def print(self, text: str) -> None:
        """Print a line without markup."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show the title while the block runs, then the title with the duration."""
        started_at = time.monotonic()
        if not self.console.is_terminal:
            self.print(f"{title} …")
        with self.console.status(escape(title)) as status:
            self._status = status
            yield
        self.print(f"{title}  {time.monotonic() - started_at:.0f} s")

    def run(self, *command: str, title: str = "") -> None:
        """Run a command as a step, with its last line of output as progress. Raises CommandError."""
        title = title or " ".join(command)
        lines: deque[str] = deque(maxlen=SHOWN_LINES)
        with (
            self.step(title),
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip():
                    lines.append(line.rstrip())
                    self._status.update(f"{escape(title)}  [dim]{escape(line.strip()[:70])}[/]")
        if process.returncode:
            raise CommandError(format_failure(command, [*lines]))
