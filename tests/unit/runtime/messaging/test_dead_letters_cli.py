"""Command line for dead letters: arguments, output and exit codes, on a fake broker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import BasicProperties

from generated.events import USER_DELETED
from generated.proto.delivery.events.v1 import UserDeleted
from services.runtime.config.settings import SettingsError
from services.runtime.messaging import dead_letters_cli
from services.runtime.messaging.consumer import DEAD_REASON_HEADER
from services.runtime.messaging.dead_letters import DeadLetters, DeadLettersError, parse_dead_letter
from services.runtime.messaging.dead_letters_cli import format_table, main, replace_control_characters
from services.runtime.messaging.topology import QUEUES
from tests.unit.runtime.messaging.fakes import FakeBlockingChannel, QueuedMessage

QUEUE = "orders.users"
PAYLOAD = USER_DELETED.encode(UserDeleted(user_id="ada"))


def build_message(event_id: str, payload: bytes = PAYLOAD, **headers: object) -> QueuedMessage:
    attributes = {
        "cloudEvents:id": event_id,
        "cloudEvents:type": "users.deleted",
        "cloudEvents:subject": "ada",
        DEAD_REASON_HEADER: "ValueError after 5 attempts",
    }
    return BasicProperties(headers=attributes | headers), payload


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> FakeBlockingChannel:
    """Channel of a broker with two dead letters in one queue."""
    messages = {f"{queue}.dead": [] for queue in QUEUES} | {f"{QUEUE}.dead": [build_message("a"), build_message("b")]}
    channel = FakeBlockingChannel(**messages)

    @contextmanager
    def connect_to_fake(url: str) -> Iterator[DeadLetters]:
        assert url == "amqp://broker.test"
        yield DeadLetters(cast(BlockingChannel, channel))

    monkeypatch.setenv("BROKER_URL", "amqp://broker.test")
    monkeypatch.setattr(dead_letters_cli, "connect", connect_to_fake)
    return channel


def run(*arguments: str) -> int:
    return main(["dead-letters", *arguments])


def list_ids(channel: FakeBlockingChannel, queue: str) -> list[str]:
    return [properties.headers["cloudEvents:id"] for properties, _ in channel.queues.get(queue, [])]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["show", QUEUE],
        ["replay"],
        ["replay", QUEUE],
        ["drop", QUEUE],
        ["replay", QUEUE, "a", "--all"],
        ["drop", QUEUE, "a", "--all"],
        ["list", QUEUE, "a"],
        ["list", "--all"],
        ["purge", QUEUE],
    ],
)
def test_invalid_arguments_exit_with_2(arguments: list[str], channel: FakeBlockingChannel) -> None:
    with pytest.raises(SystemExit) as raised:
        run(*arguments)
    assert raised.value.code == 2
    assert list_ids(channel, f"{QUEUE}.dead") == ["a", "b"]


def test_id_or_all_is_required_by_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("replay", QUEUE)
    assert "give either the id of a dead letter or --all" in capsys.readouterr().err


@pytest.mark.usefixtures("channel")
def test_list_shows_dead_letters_of_all_queues(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["queue", "id", "type", "subject", "dead_at", "reason"]
    assert [row.split()[:2] for row in rows] == [[QUEUE, "a"], [QUEUE, "b"]]


@pytest.mark.usefixtures("channel")
def test_queue_may_be_given_by_its_dead_letter_queue(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", f"{QUEUE}.dead", "--json") == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == ["a", "b"]


@pytest.mark.usefixtures("channel")
def test_list_of_empty_queue_prints_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "orders.history") == 0
    assert capsys.readouterr().out == "no dead letters\n"
    assert run("list", "orders.history", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(("option", "is_shown"), [((), False), (("--payload",), True)])
def test_show_includes_payload_only_on_request(
    channel: FakeBlockingChannel, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], is_shown: bool
) -> None:
    channel.queues[f"{QUEUE}.dead"] = [build_message("a", **{"x-death": [{"time": datetime(2026, 1, 1)}], "raw": b"x"})]
    assert run("show", QUEUE, "a", *option) == 0
    output = capsys.readouterr().out
    assert "ValueError after 5 attempts" in output
    assert "2026-01-01T00:00:00+00:00" in output
    assert ('"userId": "ada"' in output) == is_shown
    assert run("show", QUEUE, "a", "--json", *option) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["headers"]["cloudEvents:subject"], result["headers"]["raw"]) == ("ada", "78")
    assert result.get("payload") == ({"userId": "ada"} if is_shown else None)


def test_undecodable_payload_is_shown_in_hex(channel: FakeBlockingChannel, capsys: pytest.CaptureFixture[str]) -> None:
    channel.queues[f"{QUEUE}.dead"] = [build_message("a", b"\xff\x01")]
    assert run("show", QUEUE, "a", "--payload", "--json") == 0
    assert json.loads(capsys.readouterr().out)["payload"] == {"hex": "ff01"}


@pytest.mark.parametrize(
    ("command", "output"), [("replay", f"1 replayed to {QUEUE}\n"), ("drop", f"1 dropped from {QUEUE}.dead\n")]
)
def test_one_dead_letter_is_resolved(
    channel: FakeBlockingChannel, capsys: pytest.CaptureFixture[str], command: str, output: str
) -> None:
    assert run(command, QUEUE, "b") == 0
    assert capsys.readouterr().out == output
    assert list_ids(channel, f"{QUEUE}.dead") == ["a"]
    assert list_ids(channel, QUEUE) == (["b"] if command == "replay" else [])


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_all_dead_letters_of_a_queue_are_resolved(
    channel: FakeBlockingChannel, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(command, QUEUE, "--all", "--json") == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == ["a", "b"]
    assert list_ids(channel, f"{QUEUE}.dead") == []
    assert run(command, QUEUE, "--all") == 0
    assert capsys.readouterr().out.startswith("0 ")


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_missing_dead_letter_exits_with_1(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command, QUEUE, "missing") == 1
    output = capsys.readouterr()
    assert output.err.startswith(f"delivery: {QUEUE}.dead does not contain missing")
    assert output.out == ""


def test_failed_connection_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: str) -> DeadLetters:
        raise DeadLettersError("broker unavailable at broker.test:5672")

    monkeypatch.setenv("BROKER_URL", "amqp://broker.test")
    monkeypatch.setattr(dead_letters_cli, "connect", fail)
    assert run("list") == 1
    assert capsys.readouterr().err == "delivery: broker unavailable at broker.test:5672\n"


def test_missing_broker_url_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_URL", raising=False)
    with pytest.raises(SettingsError, match="BROKER_URL"):
        run("list")


@given(st.text())
def test_output_has_no_control_characters(text: str) -> None:
    replaced = replace_control_characters(text)
    assert replaced.isprintable()
    assert len(replaced) == len(text)


def test_terminal_escapes_are_replaced_by_spaces() -> None:
    assert replace_control_characters("a\x1b[2Jb\nc") == "a [2Jb c"


def test_table_columns_are_aligned_and_empty_cells_marked() -> None:
    dead_letters = [
        parse_dead_letter("q", *build_message("short")),
        parse_dead_letter("queue.long", *build_message("a-longer-id", **{"cloudEvents:subject": "x\ny"})),
    ]
    lines = format_table(dead_letters).splitlines()
    assert len(lines) == 3, "a line break in a header must not add a line"
    columns = [lines[0].index(name) for name in ("id", "type", "subject", "dead_at", "reason")]
    for line in lines[1:]:
        assert all(line[column - 1] == " " != line[column] for column in columns)
        assert line[columns[3]] == "-"


def test_json_output_of_other_types_is_text(channel: FakeBlockingChannel, capsys: pytest.CaptureFixture[str]) -> None:
    times = {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": Decimal("1.5"), "nested": [{1: True}]}
    channel.queues[f"{QUEUE}.dead"] = [build_message("a", **times)]
    assert run("show", QUEUE, "a", "--json") == 0
    headers = json.loads(capsys.readouterr().out)["headers"]
    assert (headers["at"], headers["n"], headers["nested"]) == ("2026-01-01T00:00:00+00:00", "1.5", [{"1": True}])
