"""Generator of the published OpenAPI documents: with the common response headers, without internal extensions."""

import copy
import json
from typing import Any

from codegen.contracts import HTTP_METHODS, Contracts, Files
from codegen.naming import get_constant_name
from codegen.rest import webhooks
from codegen.rest.deprecation import SINCE_EXTENSION, SUNSET_EXTENSION, parse_deprecation
from codegen.rest.operations import EVENT_STREAM_MEDIA_TYPE
from codegen.rest.problem_examples import OBSOLETE_STATUSES_EXTENSION, PATH_EXAMPLES_EXTENSION, add_problem_examples
from codegen.yaml_output import dump_yaml

RESPONSE_HEADERS = {
    "x-request-id": {"description": "Id of the request.", "required": True, "schema": {"type": "string"}},
    "traceresponse": {
        "description": "W3C: `00-<trace id>-<span id>-<flags>`.",
        "required": True,
        "schema": {"type": "string"},
    },
}

ENUM_NAMES_EXTENSION = "x-enum-varnames"
"""Extension that OpenAPI Generator and others read."""

OWN_EXTENSIONS = frozenset(
    {
        SINCE_EXTENSION,
        SUNSET_EXTENSION,
        "x-cache-until-event",
        "x-client-address",
        "x-final-event",
        "x-message",
        "x-models",
        PATH_EXAMPLES_EXTENSION,
        OBSOLETE_STATUSES_EXTENSION,
        "x-problems",
        "x-rpc",
        "x-third-party",
        "x-timeout",
    }
)
"""Extensions for the generators, which clients do not need."""


def strip_extensions(node: Any) -> Any:
    """Return the node without internal `x-` extensions."""
    if isinstance(node, dict):
        return {key: strip_extensions(value) for key, value in node.items() if key not in OWN_EXTENSIONS}
    if isinstance(node, list):
        return [strip_extensions(item) for item in node]
    return node


def _describe_event_stream_as_text(response: dict[str, Any]) -> None:
    """Describe an event stream as text with events of the given content: generated clients decode an object as JSON."""
    stream = response.get("content", {}).get(EVENT_STREAM_MEDIA_TYPE)
    data = stream["schema"].get("properties", {}).get("data", {}) if stream else {}
    if "contentSchema" in data:
        stream["schema"] = {
            "type": "string",
            "description": "Server-sent events, each with `data` that is the content as JSON.",
            "contentMediaType": EVENT_STREAM_MEDIA_TYPE,
            "contentSchema": data["contentSchema"],
        }


def _add_enum_names(published: dict[str, Any]) -> None:
    """Add the names of enum constants in protobuf, which are unique: generators for Go declare all in one scope."""
    for name, schema in published.get("components", {}).get("schemas", {}).items():
        if "enum" in schema:
            schema[ENUM_NAMES_EXTENSION] = [get_constant_name(f"{name}_{value}") for value in schema["enum"]]


def publish_document(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in its published form."""
    published: dict[str, Any] = strip_extensions(copy.deepcopy(document))
    responses = [*published.get("components", {}).get("responses", {}).values()]
    for item in published.get("paths", {}).values():
        responses += [r for m in HTTP_METHODS if m in item for r in item[m]["responses"].values() if "$ref" not in r]
    for response in responses:
        _describe_event_stream_as_text(response)
    _add_enum_names(published)
    if "x-problems" in document:
        published["components"].setdefault("headers", {}).update(RESPONSE_HEADERS)
        for response in responses:
            for name in RESPONSE_HEADERS:
                response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
        add_problem_examples(document, published)
        _add_deprecation_headers(document, published)
        reason = published["components"]["schemas"]["Problem"]["properties"]["reason"]
        reason["examples"] = sorted(document["x-problems"])
    return published


def _add_deprecation_headers(document: dict[str, Any], published: dict[str, Any]) -> None:
    """Add the headers of deprecated operations to their responses, which no longer reference shared ones."""
    for path, item in document["paths"].items():
        for method in item.keys() & set(HTTP_METHODS):
            if (deprecation := parse_deprecation(item[method])) is None:
                continue
            responses = published["paths"][path][method]["responses"]
            for status, response in responses.items():
                if "$ref" in response:
                    shared_name = response["$ref"].removeprefix("#/components/responses/")
                    responses[status] = copy.deepcopy(published["components"]["responses"][shared_name])
                responses[status]["headers"] |= deprecation.header_objects


def generate(contracts: Contracts) -> Files:
    """Generate `openapi/<api>.json` and `openapi/<api>.yaml`, also for the document of webhooks."""
    files: Files = {}
    documents = dict(contracts.openapi)
    if (document_of_webhooks := webhooks.build_document(contracts)) is not None:
        documents[webhooks.STEM] = document_of_webhooks
    for stem, document in documents.items():
        published = publish_document(document)
        files[f"openapi/{stem}.json"] = json.dumps(published, indent=2, ensure_ascii=False) + "\n"
        files[f"openapi/{stem}.yaml"] = dump_yaml("", published)
    return files
