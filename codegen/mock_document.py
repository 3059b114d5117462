"""OpenAPI document of the mock server: `python -m codegen.mock_document FILE`.

It differs from the published document where Prism would not behave as the edge does.
"""

import argparse
import copy
import json
from pathlib import Path
from typing import Any

from codegen import contracts
from codegen.contracts import HTTP_METHODS
from codegen.openapi.servers import get_base_path
from codegen.rest.operations import EVENT_STREAM_MEDIA_TYPE
from codegen.rest.published_openapi import publish_document

INVALID_REQUEST, BUSINESS_RULE = "400", "422"
"""Statuses of an invalid request and of one that violates a rule."""

NEXT_PAGE = "next_page_token"
"""Property of a page of a list, absent on the last page."""


def build_document(published: dict[str, Any]) -> dict[str, Any]:
    """Return the document of the mock server, from the published one.

    Prism ignores the path of the server, so the paths contain it. It answers an invalid request with 422 if an
    operation has this response, so 422 becomes the default response, which `Prefer: code=422` selects. Its examples
    contain all properties, so pages have none for the next page: clients that read all pages would never end. A stream
    of events has one event, with the example of its content.
    """
    document = copy.deepcopy(published)
    prefix = get_base_path(document)
    document["servers"] = [{"url": "/"}]
    document["paths"] = {f"{prefix}{path}": item for path, item in document["paths"].items()}
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        schema.get("properties", {}).pop(NEXT_PAGE, None)
    for item in document["paths"].values():
        for method in item.keys() & set(HTTP_METHODS):
            responses = item[method]["responses"]
            if responses.keys() >= {INVALID_REQUEST, BUSINESS_RULE}:
                responses["default"] = responses.pop(BUSINESS_RULE)
            for response in responses.values():
                if stream := response.get("content", {}).get(EVENT_STREAM_MEDIA_TYPE):
                    stream |= _build_event(stream["schema"].get("contentSchema", {}), schemas)
    return document


def _build_event(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, str]:
    """Return an event with the example of a schema as an example of the stream; nothing without an example."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "examples" not in schema:
        return {}
    return {"example": f"id: 1\ndata: {json.dumps(schema['examples'][0])}\n\n"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="codegen.mock_document", description=__doc__)
    parser.add_argument("output", type=Path, help="file of the document")
    parser.add_argument("--root", type=Path, default=contracts.REPOSITORY, help="folder of api-specs/")
    arguments = parser.parse_args()
    source = contracts.load_compiled(arguments.root.resolve())
    document = build_document(publish_document(source.openapi[source.name]))
    arguments.output.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main()
