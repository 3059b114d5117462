"""Command line for operators to manage dead letters: `<mesh> dead-letters list|show|replay|drop`.

`BROKER_URL` is the URL of the broker. Exit codes: 0 on success, 1 with an error message on failure, 2 for invalid
arguments.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from generated import mesh
from services.runtime.config.settings import EnvironmentSettings, load_settings
from services.runtime.config.urls import BrokerUrl
from services.runtime.messaging.dead_letters import DeadLetter, DeadLetters, DeadLettersError, connect
from services.runtime.messaging.topology import QUEUES, get_dead_letter_queue

_COLUMNS = ("queue", "id", "type", "subject", "dead_at", "reason")


class Settings(EnvironmentSettings):
    """Settings of the command."""

    broker_url: BrokerUrl = Field(description="amqp://user:password@host:port/vhost")


def build_parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(prog=mesh.NAME, description="Operate the mesh.")
    group = parser.add_subparsers(dest="group", required=True).add_parser(
        "dead-letters", help="messages whose attempts all failed"
    )
    commands = group.add_subparsers(dest="command", required=True)
    descriptions = {
        "list": "list all dead letters, or those of one queue, without removing them",
        "show": "show one dead letter with its reason and headers, without removing it",
        "replay": "republish dead letters to their queue; events that were already processed are deduplicated",
        "drop": "delete dead letters permanently",
    }
    for name, description in descriptions.items():
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument(
            "queue", nargs="?" if name == "list" else None, type=_parse_queue_name, help="for example loans.history"
        )
        if name != "list":
            command.add_argument(
                "id",
                nargs="?" if name in ("replay", "drop") else None,
                help="id shown by `list`; after -- if it begins with a hyphen",
            )
        if name in ("replay", "drop"):
            command.add_argument("--all", action="store_true", help="all dead letters of the queue")
        if name == "show":
            command.add_argument(
                "--payload", action="store_true", help="show the payload, which may contain personal data"
            )
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.command in ("replay", "drop") and bool(parsed.id) == parsed.all:
        parser.error("give either the id of a dead letter or --all")
    print_result: Callable[[Any, str], None] = _print_json if parsed.json else _print_text
    try:
        with connect(load_settings(Settings).broker_url.get_secret_value()) as dead_letters:
            _COMMANDS[parsed.command](dead_letters, parsed, print_result)
    except DeadLettersError as error:
        print(f"{mesh.NAME}: {error}", file=sys.stderr)
        return 1
    return 0


def _list(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    listed = [
        dead_letter
        for queue in ([arguments.queue] if arguments.queue else QUEUES)
        for dead_letter in dead_letters.list_all(queue)
    ]
    print_result([each.summarise() for each in listed], format_table(listed) if listed else "no dead letters")


def _show(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    dead_letter = next((each for each in dead_letters.list_all(arguments.queue) if each.id == arguments.id), None)
    if dead_letter is None:
        raise _create_not_found_error(arguments)
    summary = dead_letter.summarise()
    headers = {name: _to_json_value(value) for name, value in sorted(dead_letter.headers.items())}
    result = summary | {"headers": headers}
    lines = [f"{name:12} {value}" for name, value in summary.items()]
    lines += ["headers", *(f"  {name:24} {value}" for name, value in headers.items())]
    lines = [*map(replace_control_characters, lines)]
    if arguments.payload:
        result["payload"] = dead_letter.decode_payload() or {"hex": dead_letter.payload.hex()}
        lines += ["payload", json.dumps(result["payload"], indent=2, default=_to_json_value)]
    print_result(result, "\n".join(lines))


def _replay(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    replayed = _require_found(dead_letters.replay(arguments.queue, _build_predicate(arguments)), arguments)
    print_result([each.summarise() for each in replayed], f"{len(replayed)} replayed to {arguments.queue}")


def _drop(dead_letters: DeadLetters, arguments: argparse.Namespace, print_result: Callable[[Any, str], None]) -> None:
    dropped = _require_found(dead_letters.drop(arguments.queue, _build_predicate(arguments)), arguments)
    print_result(
        [each.summarise() for each in dropped], f"{len(dropped)} dropped from {get_dead_letter_queue(arguments.queue)}"
    )


_COMMANDS = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}


def _build_predicate(arguments: argparse.Namespace) -> Callable[[DeadLetter], bool]:
    return lambda dead_letter: arguments.all or dead_letter.id == arguments.id


def _require_found(dead_letters: list[DeadLetter], arguments: argparse.Namespace) -> list[DeadLetter]:
    if not dead_letters and not arguments.all:
        raise _create_not_found_error(arguments)
    return dead_letters


def _create_not_found_error(arguments: argparse.Namespace) -> DeadLettersError:
    return DeadLettersError(
        f"{get_dead_letter_queue(arguments.queue)} does not contain {arguments.id}, or another operator has it locked"
    )


def _parse_queue_name(name: str) -> str:
    """Return the queue for its own name or the name of its dead-letter queue."""
    return name.removesuffix(".dead")


def _print_json(value: Any, _text: str) -> None:
    print(json.dumps(value, indent=2, default=_to_json_value))


def _print_text(_value: Any, text: str) -> None:
    print(text)


def format_table(dead_letters: Sequence[DeadLetter]) -> str:
    """Format dead letters as a table with aligned columns; the last column is the reason, which is the longest."""
    rows = [
        _COLUMNS,
        *(tuple(str(dead_letter.summarise()[name]) or "-" for name in _COLUMNS) for dead_letter in dead_letters),
    ]
    cells = [tuple(map(replace_control_characters, row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in cells
    )


def replace_control_characters(text: str) -> str:
    """Replace control characters by spaces: message headers are untrusted and may contain terminal escapes."""
    return "".join(character if character.isprintable() else " " for character in text)


def _to_json_value(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        case bytes():
            return value.hex()
        case list():
            return [_to_json_value(item) for item in value]
        case dict():
            return {str(name): _to_json_value(item) for name, item in value.items()}
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
