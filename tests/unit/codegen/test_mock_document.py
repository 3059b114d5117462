"""Document of the mock server: paths and responses that differ from the published document."""

import copy
import json
from typing import Any

from codegen.mock_document import build_document
from codegen.rest.published_openapi import publish_document
from tests.unit.codegen.sample_contracts import create_openapi

RESPONSES = {"201": {"description": "Created."}, "400": {"description": "Bad."}, "422": {"description": "Rule."}}


def create_document(paths: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    return {"servers": [{"url": "/api"}], "paths": paths, "components": {"schemas": schemas}}


def test_paths_contain_path_of_the_server() -> None:
    published = publish_document(create_openapi())
    document = build_document(published)
    assert list(document["paths"]) == [f"/api/v1{path}" for path in published["paths"]]
    assert document["servers"] == [{"url": "/"}]
    assert document["components"] == published["components"]


def test_violated_rule_is_default_response_if_400_exists() -> None:
    item = {"post": {"responses": RESPONSES}, "get": {"responses": {"200": {}, "422": {}}}, "parameters": []}
    document = build_document(create_document({"/notes": item}))
    assert document["paths"]["/api/notes"] == {
        "post": {"responses": {"201": RESPONSES["201"], "400": RESPONSES["400"], "default": RESPONSES["422"]}},
        "get": {"responses": {"200": {}, "422": {}}},
        "parameters": [],
    }


def test_pages_have_no_next_page() -> None:
    page = {"type": "object", "properties": {"items": {"type": "array"}, "next_page_token": {"type": "string"}}}
    document = build_document(create_document({}, Page=page, Title={"type": "string"}))
    assert list(document["components"]["schemas"]["Page"]["properties"]) == ["items"]


def test_event_stream_has_one_event_with_the_example_of_its_content() -> None:
    schema = {"type": "string", "contentSchema": {"$ref": "#/components/schemas/Change"}}
    responses = {"200": {"content": {"text/event-stream": {"schema": schema}}}}
    change = {"type": "object", "examples": [{"text": "a"}]}
    document = build_document(create_document({"/events": {"get": {"responses": responses}}}, Change=change))
    stream = document["paths"]["/api/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    identifier, data, *end = stream["example"].split("\n")
    assert (identifier, end) == ("id: 1", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": "a"}


def test_published_document_is_not_modified() -> None:
    page = {"properties": {"next_page_token": {}}}
    published = create_document({"/notes": {"post": {"responses": RESPONSES}}}, Page=page)
    original = copy.deepcopy(published)
    build_document(published)
    assert published == original
