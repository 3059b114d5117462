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

from services.runtime.config.settings import load_settings
from services.runtime.messaging.dead_letters import DeadLetter, DeadLetters, DeadLettersError, connect
from services.runtime.messaging.topology import QUEUES, dead_letter_queue

_COLUMNS = ("queue", "id", "type", "subject", "dead_at", "reason")


class Settings(BaseSettings):
    """What the command is told."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    broker_url: SecretStr = Field(description="amqp://user:password@host:port/vhost")


def build_parser() -> argparse.ArgumentParser:
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
        command.add_argument(
            "queue", nargs="?" if name == "list" else None, type=_parse_queue_name, help="as orders.history"
        )
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
    reader = build_parser()
    asked = reader.parse_args(arguments)
    if asked.command in ("replay", "drop") and bool(asked.id) == asked.all:
        reader.error("name one dead letter, or say --all")
    say: Callable[[Any, str], None] = _print_json if asked.json else _print_text
    try:
        with connect(load_settings(Settings).broker_url.get_secret_value()) as letters:
            _COMMANDS[asked.command](letters, asked, say)
    except DeadLettersError as error:
        print(f"delivery: {error}", file=sys.stderr)
        return 1
    return 0


def _list(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    found = [
        letter
        for queue in ([arguments.queue] if arguments.queue else QUEUES)
        for letter in dead_letters.list_all(queue)
    ]
    print_result([letter.summarise() for letter in found], format_table(found) if found else "no dead letters")


def _show(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    letter = next((letter for letter in dead_letters.list_all(arguments.queue) if letter.id == arguments.id), None)
    if letter is None:
        raise _not_found_error(arguments)
    told = letter.summarise() | {
        "headers": {name: _to_json_value(value) for name, value in sorted(letter.headers.items())}
    }
    if arguments.payload:
        told["payload"] = letter.decode_payload() or {"hex": letter.payload.hex()}
    lines = [f"{name:12} {value}" for name, value in letter.summarise().items()]
    lines += ["headers", *(f"  {name:24} {value}" for name, value in told["headers"].items())]
    payload = ["payload", json.dumps(told["payload"], indent=2, default=_to_json_value)] if arguments.payload else []
    print_result(told, "\n".join([*map(replace_control_characters, lines), *payload]))


def _replay(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    done = _require_found(dead_letters.replay(arguments.queue, _build_predicate(arguments)), arguments)
    print_result([letter.summarise() for letter in done], f"{len(done)} sent to {arguments.queue} again")


def _drop(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    done = _require_found(dead_letters.drop(arguments.queue, _build_predicate(arguments)), arguments)
    print_result(
        [letter.summarise() for letter in done], f"{len(done)} dropped from {dead_letter_queue(arguments.queue)}"
    )


_COMMANDS = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}


def _build_predicate(arguments: argparse.Namespace) -> Callable[[DeadLetter], bool]:
    return lambda letter: arguments.all or letter.id == arguments.id


def _require_found(dead_letters: list[DeadLetter], arguments: argparse.Namespace) -> list[DeadLetter]:
    if not dead_letters and not arguments.all:
        raise _not_found_error(arguments)
    return dead_letters


def _not_found_error(arguments: argparse.Namespace) -> DeadLettersError:
    return DeadLettersError(
        f"{dead_letter_queue(arguments.queue)} holds no {arguments.id}, unless another operator looks at it just now"
    )


def _parse_queue_name(name: str) -> str:
    """A queue's name, or its dead letters'."""
    return name.removesuffix(".dead")


def _print_json(value: Any, _text: str) -> None:
    print(json.dumps(value, indent=2, default=_to_json_value))


def _print_text(_value: Any, text: str) -> None:
    print(text)


def format_table(dead_letters: Sequence[DeadLetter]) -> str:
    """Columns as wide as they must be; the reason is last, since it is the longest."""
    rows = [_COLUMNS, *(tuple(str(letter.summarise()[name]) or "-" for name in _COLUMNS) for letter in dead_letters)]
    cells = [tuple(map(replace_control_characters, row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in cells
    )


def replace_control_characters(text: str) -> str:
    """What a terminal may be shown: a message is anybody's, and may hold what moves its cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _to_json_value(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        case bytes():
            return value.hex()
        case list():
            return [_to_json_value(each) for each in value]
        case dict():
            return {str(name): _to_json_value(each) for name, each in value.items()}
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
