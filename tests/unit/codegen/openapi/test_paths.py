"""Paths: no request matches two templates."""

import pytest

from codegen.openapi.paths import is_ambiguous
from tests.unit.codegen.openapi.sample_documents import OPERATION, change_document, find_errors


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("/a/{x}", "/a/{y}", True),
        ("/a/{x}/c", "/a/b/{y}", True),
        ("/a/{x}", "/a/{y}.json", True),
        ("/{x}-{y}", "/{z}", True),
        ("/a{x}", "/{y}b", True),
        ("/a{x}", "/{y}a", True),
        ("/{x}a", "/{y}b", False),
        ("/{x}.json", "/{y}.xml", False),
        ("/a{x}a", "/a{y}", True),
        ("/aa{x}", "/a{y}b", True),
        ("/a/{x}", "/a", False),
        ("/a/{x}", "/b/{x}", False),
        ("/a/{x}", "/a/{x}/b", False),
        ("/a/{x}:go", "/a/{x}:stop", False),
        ("/{x}a{y}", "/{z}b", True),
    ],
)
def test_templates_overlap_if_a_path_matches_both(first: str, second: str, expected: bool) -> None:
    assert is_ambiguous(first, second) is is_ambiguous(second, first) is expected


def test_ambiguous_templates_are_an_error() -> None:
    item = {"get": OPERATION}
    errors = find_errors(change_document(paths={"/files/{id}": item, "/files/{name}.json": item}))
    assert any("the path matches some or all requests of /files/{id}" in error for error in errors)


def test_literal_path_beside_a_template_is_permitted() -> None:
    item = {"get": OPERATION}
    errors = find_errors(change_document(paths={"/users/{id}": item, "/users/me": item}))
    assert not any("the path matches" in error for error in errors)
