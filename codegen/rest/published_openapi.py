"""What clients are given of the OpenAPI files: what stands there, with what every response has, without what is only ours."""

import copy
import json
from typing import Any

import yaml

from codegen.contracts import HTTP_METHODS, Contracts, Files

RESPONSE_HEADERS = {
    "x-request-id": {"description": "Names the request.", "required": True, "schema": {"type": "string"}},
    "traceresponse": {
        "description": "W3C: `00-<trace id>-<span id>-<flags>`.",
        "required": True,
        "schema": {"type": "string"},
    },
}


def strip_extensions(node: Any) -> Any:
    """The node without our own `x-…` keys."""
    if isinstance(node, dict):
        return {key: strip_extensions(value) for key, value in node.items() if not _is_own_extension(key)}
    if isinstance(node, list):
        return [strip_extensions(item) for item in node]
    return node


def _is_own_extension(key: object) -> bool:
    return key in ("x-message", "x-problems", "x-timeout", "x-client-address", "x-final-event", "x-cache-until-event")


def publish_document(document: dict[str, Any]) -> dict[str, Any]:
    """One document, as it is served."""
    made: dict[str, Any] = strip_extensions(copy.deepcopy(document))
    responses = [*made.get("components", {}).get("responses", {}).values()]
    for item in made.get("paths", {}).values():
        responses += [r for m in HTTP_METHODS if m in item for r in item[m]["responses"].values() if "$ref" not in r]
    if "x-problems" in document:
        made["components"]["headers"] |= RESPONSE_HEADERS
        for response in responses:
            for name in RESPONSE_HEADERS:
                response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
        reason = made["components"]["schemas"]["Problem"]["properties"]["reason"]
        reason["examples"] = sorted(document["x-problems"])
    return made


def generate(contracts: Contracts) -> Files:
    """`generated/openapi/<api>.json` and `.yaml`."""
    files: Files = {}
    for stem, document in contracts.openapi.items():
        made = publish_document(document)
        files[f"openapi/{stem}.json"] = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        files[f"openapi/{stem}.yaml"] = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    return files
