"""Tables of the RPC and event reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.reference_docs import (
    generate,
    render_event_row,
    render_method_row,
    render_service_section,
    render_table_cell,
)
from tests.unit.codegen.sample_contracts import (
    create_contracts,
    create_event,
    create_method,
    create_service,
    create_stream,
)


@given(st.text())
def test_table_cell_is_one_line_without_unescaped_separators(text: str) -> None:
    cell = render_table_cell(text)
    assert len(cell.splitlines()) <= 1
    assert cell.replace("\\|", "").count("|") == 0


def test_method_row_contains_its_policy() -> None:
    method = create_method("GetNote", callers=("gateway", "archive"), actor_required=True, attempts=3)
    assert render_method_row(method) == (
        "| `GetNote` | GetNoteRequest → GetNoteResponse | gateway, archive | required | 2.5 s | 3 | GetNote of notes. |"
    )


def test_absent_callers_and_timeout_are_dashes() -> None:
    assert render_method_row(create_stream("WatchNotes", callers=())) == (
        "| `WatchNotes` | WatchNotesRequest → stream of WatchNotesResponse | – | none | – | 1 | WatchNotes of notes. |"
    )


def test_service_section_has_a_row_per_method() -> None:
    methods = [create_method("GetNote"), create_method("AddNote")]
    lines = list(render_service_section(create_service("notes", *methods)))
    assert lines[0] == "## delivery.notes.v1.NotesService\n"
    assert lines[1] == "All notes.\n"
    assert lines[-3:] == [render_method_row(methods[0]), render_method_row(methods[1]), ""]


@pytest.mark.parametrize(
    ("queues", "priority_queue", "cell"),
    [((), "", "–"), (("a.b", "c.d"), "", "`a.b`, `c.d`"), (("a.b",), "a.urgent", "`a.b`, `a.urgent`")],
)
def test_event_row_lists_all_queues(queues: tuple[str, ...], priority_queue: str, cell: str) -> None:
    event = create_event("Added", queues=queues, priority_queue=priority_queue)
    assert render_event_row(event) == f"| `notes.added` | Added | notes | {cell} | Added happened. |"


def test_document_contains_every_service_and_event() -> None:
    services = [create_service("notes", create_method("GetNote")), create_service("archive")]
    files = generate(create_contracts(*services, events=(create_event("Added"), create_event("Deleted"))))
    assert files.keys() == {"docs/reference.md"}
    text = str(files["docs/reference.md"])
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# RPC and event reference",
        "## delivery.notes.v1.NotesService",
        "## delivery.archive.v1.ArchiveService",
        "## Events",
    ]
    assert text.endswith(f"{render_event_row(create_event('Added'))}\n{render_event_row(create_event('Deleted'))}\n")
