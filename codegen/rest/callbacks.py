"""Generator of the parsers of signed bodies, which the service that has the secret parses instead of the gateway."""

import re
from typing import Any

from codegen.contracts import ContractError, Contracts, Files
from codegen.errors import map_all
from codegen.rest.handlers import (
    SIGNED_SCHEME,
    get_python_type,
    get_runtime_name,
    list_class_names,
    render_import,
)
from codegen.rest.operations import Operation, iter_operations

HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""\n\n'
ANNOTATIONS = frozenset({"description", "examples", "title"})
"""Keywords that do not constrain a value."""


def get_body_schema(operation: Operation) -> dict[str, Any]:
    """Return the schema of a signed body.

    Raises ContractError unless the body has exactly one media type.
    """
    if operation.body is None or len(operation.body) != 1:
        raise operation.create_error("the signed request has no single body", "add a request body with one media type")
    (content,) = operation.body.values()
    schema: dict[str, Any] = content["schema"]
    return schema


def resolve_references(
    contracts: Contracts, schema: dict[str, Any], parents: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the schema without references and annotations.

    Raises ContractError for a schema that contains itself.
    """
    reference = schema.get("$ref", "")
    if reference in parents:
        location = contracts.format_location(contracts.name, "components", "schemas", reference.rpartition("/")[2])
        raise ContractError(f"{location}: the schema of a signed body contains itself; limit its depth")
    inner = parents | {reference} if reference else parents

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            return resolve_references(contracts, node, inner)
        return [resolve(each) for each in node] if isinstance(node, list) else node

    resolved = contracts.resolve_reference(contracts.name, schema)
    return {
        # Names of properties may be those of annotations.
        name: {key: resolve(each) for key, each in value.items()} if name == "properties" else resolve(value)
        for name, value in resolved.items()
        if name not in ANNOTATIONS
    }


def render_parser(contracts: Contracts, operation: Operation) -> str:
    """Render the parser of an operation's body."""
    schema = get_body_schema(operation)
    arguments = f"{resolve_references(contracts, schema)!r}, {get_python_type(contracts, schema)}"
    return f"{operation.method_name.upper()} = {get_runtime_name(contracts, 'JsonParser')}({arguments})\n\n"


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<mesh>/callbacks.py`."""
    signed = [each for each in iter_operations(contracts, contracts.name) if each.scheme == SIGNED_SCHEME]
    parsers = map_all(lambda operation: render_parser(contracts, operation), signed)
    types = " ".join(get_python_type(contracts, get_body_schema(operation)) for operation in signed)
    models = sorted(name for name in list_class_names(contracts) if re.search(rf"\b{name}\b", types))
    imports = (
        (f"from generated.rest.{contracts.name}.models import {', '.join(models)}\n" if models else "")
        + render_import(contracts, "services.runtime.core.json_schema", "JsonParser")
        + "\n\n"
    )
    text = HEADER.format(stem=contracts.name) + imports + "".join(parsers)
    return {contracts.get_rest_path("callbacks"): text}
