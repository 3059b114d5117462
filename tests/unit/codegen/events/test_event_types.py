"""Event types, event unions and abstract consumers as generated Python code."""

import ast
from typing import Any

import pytest

from codegen.contracts import ContractError
from codegen.events import event_types
from codegen.naming import get_constant_name
from codegen.protobuf import Event
from tests.unit.codegen.sample_contracts import create_contracts, create_event

ADDED = create_event("NoteAdded", type="notes.added", queues=("archive.history", "mail.requested"))
DELETED = create_event(
    "NoteDeleted", type="notes.deleted", priority_queue="archive.urgent", subject="note.owner.user_id"
)
SENT = create_event("MailSent", type="mail.sent", producer="mail", queues=())
FILES = event_types.generate(create_contracts(events=(ADDED, DELETED, SENT)))
TYPES, CONSUMERS = (ast.parse(str(FILES[name])) for name in ("events/__init__.py", "events/consumers.py"))


def consumers() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in CONSUMERS.body if isinstance(node, ast.ClassDef)}


def class_attribute(node: ast.ClassDef, name: str) -> str:
    (value,) = (
        ast.unparse(each.value)
        for each in node.body
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name and each.value is not None
    )
    return value


def test_constant_is_named_after_the_message() -> None:
    assert get_constant_name(ADDED.name) == "NOTE_ADDED"


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        (
            ADDED,
            "'notes.added', NoteAdded, 'notes', ('archive.history', 'mail.requested'), lambda event: event.note_id",
        ),
        (
            DELETED,
            "'notes.deleted', NoteDeleted, 'notes', ('archive.history',), "
            "lambda event: event.note.owner.user_id"
            " if event.note is not None and event.note.owner is not None else '', "
            "priority_queue='archive.urgent'",
        ),
        (SENT, "'mail.sent', MailSent, 'mail', (), lambda event: event.note_id"),
    ],
    ids=["queues", "priority queue", "no queue"],
)
def test_event_type_contains_the_policy(event: Event, arguments: str) -> None:
    constants = {
        ast.unparse(node.target): ast.unparse(node.value)
        for node in TYPES.body
        if isinstance(node, ast.AnnAssign) and node.value is not None
    }
    assert constants[get_constant_name(event.name)] == f"EventType({arguments})"


def test_table_maps_messages_to_event_types() -> None:
    text = str(FILES["events/__init__.py"])
    assert "    NoteAdded: NOTE_ADDED,\n    NoteDeleted: NOTE_DELETED,\n    MailSent: MAIL_SENT,\n}" in text


def test_each_producer_has_a_union_of_its_events() -> None:
    unions = {ast.unparse(node.name): ast.unparse(node.value) for node in TYPES.body if isinstance(node, ast.TypeAlias)}
    assert unions == {"MailEvent": "MailSent", "NotesEvent": "NoteAdded | NoteDeleted"}


@pytest.mark.parametrize(
    ("subject", "expression"),
    [
        ("order_id", "event.order_id"),
        ("order.id", "event.order.id if event.order is not None else ''"),
        ("a.b.c", "event.a.b.c if event.a is not None and event.a.b is not None else ''"),
    ],
)
def test_subject_is_empty_if_a_sub_message_is_absent(subject: str, expression: str) -> None:
    assert event_types.render_subject_expression(create_event("Added", subject=subject)) == expression


def test_each_queue_has_a_consumer() -> None:
    assert {name: class_attribute(node, "QUEUE") for name, node in consumers().items()} == {
        "ArchiveHistoryConsumer": "'archive.history'",
        "ArchiveUrgentConsumer": "'archive.urgent'",
        "MailRequestedConsumer": "'mail.requested'",
    }


def test_consumer_has_an_abstract_method_per_event_of_its_queue() -> None:
    consumer = consumers()["ArchiveHistoryConsumer"]
    methods = {node.name: node for node in consumer.body if isinstance(node, ast.AsyncFunctionDef)}
    assert {name: ast.unparse(node.args) for name, node in methods.items()} == {
        "on_note_added": "self, event: NoteAdded, delivery: MessageMetadata",
        "on_note_deleted": "self, event: NoteDeleted, delivery: MessageMetadata",
    }
    for node in methods.values():
        assert [ast.unparse(decorator) for decorator in node.decorator_list] == ["abstractmethod"]
    assert ast.get_docstring(methods["on_note_added"]) == "NoteAdded happened."


def test_table_of_a_consumer_names_type_and_method() -> None:
    table = class_attribute(consumers()["MailRequestedConsumer"], "EVENTS")
    assert table == "{'notes.added': (NOTE_ADDED, 'on_note_added')}"


def test_consumers_import_only_consumed_events() -> None:
    imported = {alias.name for node in CONSUMERS.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {"NOTE_ADDED", "NoteAdded", "NOTE_DELETED", "NoteDeleted"} <= imported
    assert not imported & {"MAIL_SENT", "MailSent"}


def test_comment_of_several_lines_becomes_a_docstring() -> None:
    comment = 'First line.\n\nWith a "quote"'
    text = event_types.render_consumers([create_event("Added", comment=comment)])
    (node,) = (each for each in ast.parse(text).body if isinstance(each, ast.ClassDef))
    (method,) = (each for each in node.body if isinstance(each, ast.AsyncFunctionDef))
    assert ast.get_docstring(method) == comment


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "notes.added"}, r"v1\.Other and delivery\.events\.v1\.NoteAdded have the same type notes\.added"),
        ({"queues": ("history",)}, r"the queue name 'history' is not <service>\.<purpose>"),
        ({"queues": ("archive.History",)}, "the queue name 'archive.History'"),
        ({"queues": ("archive.history.old",)}, "the queue name 'archive.history.old'"),
        ({"priority_queue": "archive."}, "the queue name 'archive.'"),
    ],
)
def test_invalid_event_raises_contract_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        event_types.generate(create_contracts(events=(ADDED, create_event("Other", **changes))))
