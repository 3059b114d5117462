"""Conversion of names, texts and times of the contracts."""

import pytest

from codegen.naming import (
    format_seconds,
    get_constant_name,
    get_unqualified_name,
    render_docstring,
    to_package_name,
    to_pascal_case,
    to_snake_case,
)


@pytest.mark.parametrize(
    ("name", "converted"), [("listNotes", "list_notes"), ("If-None-Match", "if_none_match"), ("a.b", "a_b")]
)
def test_snake_case(name: str, converted: str) -> None:
    assert to_snake_case(name) == converted


def test_pascal_case() -> None:
    assert to_pascal_case("notes.return_reported") == "NotesReturnReported"


def test_names_of_packages_messages_and_constants() -> None:
    assert to_package_name("note-items") == "note_items"
    assert get_unqualified_name("sample.notes.v1.Note") == "Note"
    assert get_constant_name("NoteWritten") == "NOTE_WRITTEN"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5"), (1_000_000, "1000000"), (123456.789, "123456.789"), (0.001, "0.001"), (0, "0"), (60, "60")],
)
def test_seconds_have_no_exponent(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    "text", ["", "a", 'a "b"', "a \\ b", 'a """b""" c', "a\n\nb", "\\N{BULLET}", 'ends with """', "a\\"]
)
def test_docstring_is_a_string_with_the_text(text: str) -> None:
    namespace: dict[str, str] = {}
    exec(f"value = {render_docstring(text, 0)}", namespace)  # noqa: S102 (the source is rendered)
    assert namespace["value"].strip() == text.replace('"""', "'''").strip()
