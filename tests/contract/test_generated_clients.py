"""Properties of the published documents that generators of clients in other languages need."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from codegen.contracts import HTTP_METHODS
from deploy.local.mesh_config import ROOT

STEMS = ("delivery", "partner-system", "payment-system")


def load_document(stem: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / f"generated/openapi/{stem}.json").read_text(encoding="utf-8"))
    return document


def iter_responses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each response that an operation describes itself, with its operationId and status."""
    for item in document["paths"].values():
        for method in item.keys() & set(HTTP_METHODS):
            for status, response in item[method]["responses"].items():
                yield f"{item[method]['operationId']} {status}", response


@pytest.mark.parametrize("stem", STEMS)
def test_request_body_of_links_is_a_string(stem: str) -> None:
    """OpenAPI Generator rejects a document with any other value."""
    found = [
        f"{name}: {link_name}"
        for name, response in iter_responses(load_document(stem))
        for link_name, link in response.get("links", {}).items()
        if not isinstance(link.get("requestBody", ""), str)
    ]
    assert not found


def test_event_stream_is_described_as_text() -> None:
    """Generators for Python decode any other type as JSON."""
    streams = {
        name: response["content"]["text/event-stream"]["schema"]["type"]
        for name, response in iter_responses(load_document("delivery"))
        if "text/event-stream" in response.get("content", {})
    }
    assert streams == {"watchOrder 200": "string"}


@pytest.mark.parametrize("stem", STEMS)
def test_schema_names_do_not_collide_in_other_languages(stem: str) -> None:
    """Go generates the functions New… and New…WithDefaults and the type Nullable… for a schema."""
    names = set(load_document(stem)["components"]["schemas"])
    derived = {form.format(name) for name in names for form in ("New{}", "New{}WithDefaults", "Nullable{}")}
    assert not names & derived
    counts = Counter(name.lower() for name in names)
    assert [name for name, count in counts.items() if count > 1] == []


def test_location_of_created_resource_is_a_readable_path() -> None:
    paths = load_document("delivery")["paths"]
    readable = {path for path, item in paths.items() if "get" in item}
    creating = [path for path, item in paths.items() if "Location" in get_created_headers(item)]
    unreadable = [path for path in creating if not any(is_item_path(path, other) for other in readable)]
    assert unreadable == ["/users"]  # the Location is /users/me
    assert "/users/me" in readable


def get_created_headers(item: dict[str, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = item.get("post", {}).get("responses", {}).get("201", {}).get("headers", {})
    return headers


def is_item_path(collection: str, path: str) -> bool:
    """Return whether a path is that of an item of the collection."""
    parent, _, name = path.rpartition("/")
    return parent == collection and name.startswith("{")
