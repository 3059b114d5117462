"""`delivery dead-letters list|show|replay|drop`: what operators do with messages that no attempt could settle.

`BROKER_URL` says where the broker is. Exits with 0, with 1 and a sentence when it cannot be done, with 2 when it was
asked wrongly.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.dead_letters import DeadLetter, DeadLetters, DeadLettersError, opened
from services.runtime.settings import load
from services.runtime.topology import QUEUES, dead

_COLUMNS = ("queue", "id", "type", "subject", "dead_at", "reason")


class Settings(BaseSettings):
    """What the command is told."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    broker_url: SecretStr = Field(description="amqp://user:password@host:port/vhost")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="delivery", description="What operators do with the mesh.")
    letters = made.add_subparsers(dest="of", required=True).add_parser(
        "dead-letters", help="messages that no attempt could settle"
    )
    commands = letters.add_subparsers(dest="command", required=True)
    helps = {
        "list": "every dead letter, or those of one queue; all of them stay",
        "show": "one dead letter with its reason and headers; it stays",
        "replay": "send dead letters to their queue again; what was done before is not done again",
        "drop": "give dead letters up for good",
    }
    for name, about in helps.items():
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("queue", nargs="?" if name == "list" else None, type=_queue, help="as orders.history")
        if name != "list":
            command.add_argument("id", nargs="?" if name in ("replay", "drop") else None, help="as `list` shows it")
        if name in ("replay", "drop"):
            command.add_argument("--all", action="store_true", help="every dead letter of the queue")
        if name == "show":
            command.add_argument("--payload", action="store_true", help="show what it says, too; it may be personal")
        command.add_argument("--json", action="store_true", help="for programs")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and does what it says; the exit code."""
    reader = parser()
    asked = reader.parse_args(arguments)
    if asked.command in ("replay", "drop") and bool(asked.id) == asked.all:
        reader.error("name one dead letter, or say --all")
    say: Callable[[Any, str], None] = _json if asked.json else _text
    try:
        with opened(load(Settings).broker_url.get_secret_value()) as letters:
            _COMMANDS[asked.command](letters, asked, say)
    except DeadLettersError as error:
        print(f"delivery: {error}", file=sys.stderr)
        return 1
    return 0


def _list(letters: DeadLetters, asked: argparse.Namespace, say: Callable[[Any, str], None]) -> None:
    found = [letter for queue in ([asked.queue] if asked.queue else QUEUES) for letter in letters.letters(queue)]
    say([letter.summary() for letter in found], table(found) if found else "no dead letters")


def _show(letters: DeadLetters, asked: argparse.Namespace, say: Callable[[Any, str], None]) -> None:
    letter = next((letter for letter in letters.letters(asked.queue) if letter.id == asked.id), None)
    if letter is None:
        raise _missing(asked)
    told = letter.summary() | {"headers": {name: _plain(value) for name, value in sorted(letter.headers.items())}}
    if asked.payload:
        told["payload"] = letter.event() or {"hex": letter.payload.hex()}
    lines = [f"{name:12} {value}" for name, value in letter.summary().items()]
    lines += ["headers", *(f"  {name:24} {value}" for name, value in told["headers"].items())]
    payload = ["payload", json.dumps(told["payload"], indent=2, default=_plain)] if asked.payload else []
    say(told, "\n".join([*map(printable, lines), *payload]))


def _replay(letters: DeadLetters, asked: argparse.Namespace, say: Callable[[Any, str], None]) -> None:
    done = _done(letters.replay(asked.queue, _wanted(asked)), asked)
    say([letter.summary() for letter in done], f"{len(done)} sent to {asked.queue} again")


def _drop(letters: DeadLetters, asked: argparse.Namespace, say: Callable[[Any, str], None]) -> None:
    done = _done(letters.drop(asked.queue, _wanted(asked)), asked)
    say([letter.summary() for letter in done], f"{len(done)} dropped from {dead(asked.queue)}")


_COMMANDS = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}


def _wanted(asked: argparse.Namespace) -> Callable[[DeadLetter], bool]:
    return lambda letter: asked.all or letter.id == asked.id


def _done(found: list[DeadLetter], asked: argparse.Namespace) -> list[DeadLetter]:
    if not found and not asked.all:
        raise _missing(asked)
    return found


def _missing(asked: argparse.Namespace) -> DeadLettersError:
    return DeadLettersError(f"{dead(asked.queue)} holds no {asked.id}, unless another operator looks at it just now")


def _queue(name: str) -> str:
    """A queue's name, or its dead letters'."""
    return name.removesuffix(".dead")


def _json(told: Any, _text: str) -> None:
    print(json.dumps(told, indent=2, default=_plain))


def _text(_told: Any, text: str) -> None:
    print(text)


def table(letters: Sequence[DeadLetter]) -> str:
    """Columns as wide as they must be; the reason is last, since it is the longest."""
    rows = [_COLUMNS, *(tuple(str(letter.summary()[name]) or "-" for name in _COLUMNS) for letter in letters)]
    cells = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in cells
    )


def printable(text: str) -> str:
    """What a terminal may be shown: a message is anybody's, and may hold what moves its cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        case bytes():
            return value.hex()
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
