"""Published form of the OpenAPI documents."""

import copy
import dataclasses
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.rest.published_openapi import RESPONSE_HEADERS, generate, publish_document, strip_extensions
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

INTERNAL_EXTENSIONS = (
    *("x-message", "x-problems", "x-timeout", "x-client-address", "x-final-event", "x-cache-until-event"),
    *("x-deprecated-since", "x-sunset", "x-obsolete-statuses"),
)
KEYS = st.sampled_from([*INTERNAL_EXTENSIONS, "x-max-bytes", "type", "properties"])
NODES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=12,
)


def find_keys(node: Any) -> set[str]:
    match node:
        case dict():
            return set(node).union(*map(find_keys, node.values()))
        case list():
            return set().union(*map(find_keys, node))
        case _:
            return set()


@given(NODES)
@settings(max_examples=30)
def test_internal_extensions_are_removed_at_any_depth(node: Any) -> None:
    original = copy.deepcopy(node)
    assert not find_keys(strip_extensions(node)) & set(INTERNAL_EXTENSIONS)
    assert node == original


@pytest.mark.parametrize("node", [{"x-max-bytes": 9}, [{"type": "string"}], "x-message", None, 1.5])
def test_other_content_is_unchanged(node: Any) -> None:
    assert strip_extensions(node) == node


def test_document_is_not_modified() -> None:
    document = create_openapi()
    publish_document(document)
    assert document == create_openapi()


def test_every_response_references_the_common_headers() -> None:
    published = publish_document(create_openapi())
    responses = [
        *published["components"]["responses"].values(),
        *(
            response
            for item in published["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
            for response in operation["responses"].values()
        ),
    ]
    assert len(responses) == 8
    for response in responses:
        if "$ref" not in response:
            assert response["headers"]["x-request-id"] == {"$ref": "#/components/headers/x-request-id"}
            assert response["headers"]["traceresponse"] == {"$ref": "#/components/headers/traceresponse"}
    assert RESPONSE_HEADERS.items() <= published["components"]["headers"].items()


def test_headers_of_an_operation_are_preserved() -> None:
    published = publish_document(create_openapi())
    assert "ETag" in published["paths"]["/notes/{note_id}"]["get"]["responses"]["200"]["headers"]


def test_reference_to_a_response_has_no_headers() -> None:
    document = create_openapi()
    reference = {"$ref": "#/components/responses/Unavailable"}
    document["components"]["responses"]["Unavailable"] = {"description": "Unavailable."}
    document["paths"]["/notes/{note_id}"]["get"]["responses"]["503"] = reference
    response = publish_document(document)["paths"]["/notes/{note_id}"]["get"]["responses"]["503"]
    assert response == reference


def test_responses_of_a_deprecated_operation_have_its_headers() -> None:
    document = create_openapi()
    note = document["paths"]["/notes/{note_id}"]
    note["get"] |= {"deprecated": True, "x-deprecated-since": "2026-12-01", "x-sunset": "2027-06-01"}
    published = publish_document(document)
    responses = published["paths"]["/notes/{note_id}"]["get"]["responses"]
    assert {"ETag", "x-request-id", "Deprecation", "Sunset"} <= responses["200"]["headers"].keys()
    assert responses["404"]["description"] == document["components"]["responses"]["NotFound"]["description"]
    assert {"traceresponse", "Deprecation", "Sunset"} <= responses["404"]["headers"].keys()
    assert "Sunset" not in published["components"]["responses"]["NotFound"]["headers"]
    assert "Sunset" not in published["paths"]["/notes/{note_id}"]["patch"]["responses"]["204"]["headers"]


def test_reasons_of_the_catalogue_are_examples() -> None:
    document = create_openapi()
    reason = publish_document(document)["components"]["schemas"]["Problem"]["properties"]["reason"]
    assert reason["examples"] == sorted(document["x-problems"])


def test_constants_of_enums_have_unique_names() -> None:
    document = create_openapi()
    document["components"]["schemas"] |= {
        "NoteStatus": {"type": "string", "enum": ["paid", "price-descending"]},
        "Payment": {"type": "string", "enum": ["paid"]},
    }
    schemas = publish_document(document)["components"]["schemas"]
    assert schemas["NoteStatus"]["x-enum-varnames"] == ["NOTE_STATUS_PAID", "NOTE_STATUS_PRICE_DESCENDING"]
    assert schemas["Payment"]["x-enum-varnames"] == ["PAYMENT_PAID"]
    assert "x-enum-varnames" not in schemas["Note"]


def test_document_without_catalogue_has_no_common_headers() -> None:
    document = {"paths": {"/a": {"get": {"x-timeout": "1s", "responses": {"200": {"description": "."}}}}}}
    assert publish_document(document) == {"paths": {"/a": {"get": {"responses": {"200": {"description": "."}}}}}}


def test_json_and_yaml_have_equal_content() -> None:
    files = generate(create_contracts())
    assert files.keys() == {"openapi/delivery.json", "openapi/delivery.yaml"}
    published = json.loads(files["openapi/delivery.json"])
    assert (
        yaml.load(files["openapi/delivery.yaml"], Loader=yaml.CSafeLoader)
        == published
        == publish_document(create_openapi())
    )


def test_each_api_has_its_own_documents() -> None:
    source = dataclasses.replace(create_contracts(), openapi={"a": {}, "partner-system": {}})
    assert generate(source).keys() == {
        f"openapi/{stem}.{suffix}" for stem in ("a", "partner-system") for suffix in ("json", "yaml")
    }


def test_event_stream_is_published_as_text_with_its_content() -> None:
    document = create_openapi()
    note = {"$ref": "#/components/schemas/Note"}
    event = {"properties": {"id": {"type": "string"}, "data": {"type": "string", "contentSchema": note}}}
    responses = document["paths"]["/notes/{note_id}/events"]["get"]["responses"]
    responses["200"]["content"]["text/event-stream"]["schema"] = {"type": "object", **event}
    published = publish_document(document)["paths"]["/notes/{note_id}/events"]["get"]["responses"]
    schema = published["200"]["content"]["text/event-stream"]["schema"]
    assert (schema["type"], schema["contentMediaType"], schema["contentSchema"]) == (
        "string",
        "text/event-stream",
        note,
    )
