"""Reading of one OpenAPI file with all of its checks."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator

from codegen.errors import ContractError, ContractErrors
from codegen.openapi.external_references import build_file, read_with_components
from codegen.openapi.findings import Findings, OpenApiFile, Pointer, parse_reference
from codegen.openapi.media_types import EVENT_STREAM, FORM, is_json
from codegen.openapi.names import check_schema_names
from codegen.openapi.operations import ServedCheck
from codegen.openapi.schemas import SchemaCheck
from codegen.openapi.structure import StructureCheck
from codegen.yaml_input import check_references

MODELS_EXTENSION = "x-models"
"""False in a document whose messages are not decoded to models, because adapters use SDKs or read JSON."""

META_SCHEMA = "resources/schemas/v3.1/schema.json"


def read_openapi_file(root: Path, path: Path, errors: ContractErrors, *, is_served: bool) -> OpenApiFile | None:
    """Read and check a file below `root`; add its errors to `errors`. None if it is no YAML, or lacks referenced files.

    `is_served` is true for the file whose operations the gateway serves.
    """
    try:
        document, origins = read_with_components(root, path)
    except ContractError as error:
        errors.messages += error.messages
        return None
    file = build_file(document, origins)
    check_document(file, errors, is_served=is_served, has_models=has_generated_models(document.content))
    with errors.collect():
        # References outside of the checked structure, such as those in callbacks.
        check_references(document)
    return file


def has_generated_models(document: Any) -> bool:
    """Return whether models are generated for the messages of a document."""
    return not isinstance(document, dict) or document.get(MODELS_EXTENSION) is not False


def check_document(file: OpenApiFile, errors: ContractErrors, *, is_served: bool, has_models: bool) -> None:
    """Add the errors of a parsed document to `errors`. Later checks require the structure that earlier ones assure."""
    findings = Findings(file, errors)
    StructureCheck(findings).run()
    if findings.count == 0:
        _check_meta_schema(findings)
    if findings.count == 0:
        _resolve_aliases(file.document)
    if findings.count == 0 and has_models:
        schemas = SchemaCheck(findings)
        check_schema_names(findings, file.document.get("components", {}).get("schemas", {}))
        sections = [(file.document[key], (key,)) for key in ("paths", "components") if key in file.document]
        for schema, pointer in (each for node, at in sections for each in _list_schemas(node, at)):
            schemas.check(schema, pointer, permits_binary=_is_binary_content(pointer))
        if is_served:
            ServedCheck(findings, schemas).run()


def _resolve_aliases(document: dict[str, Any]) -> None:
    """Replace components that are only references by their targets, except schemas, whose models have aliases."""
    for section, components in document.get("components", {}).items():
        for name in components if section != "schemas" and isinstance(components, dict) else ():
            while isinstance(components[name], dict) and "$ref" in components[name]:
                components[name] = components[parse_reference(components[name]["$ref"])[-1]]


def _is_binary_content(pointer: Pointer) -> bool:
    """Return whether a schema is the content of a media type that is neither JSON nor text of JSON."""
    content, media_type = pointer[-3:-1]
    is_text = media_type in (EVENT_STREAM, FORM) or is_json(str(media_type))
    return content == "content" and not is_text


@cache
def _compile_meta_schema() -> Draft202012Validator:
    spec = find_spec("openapi_spec_validator")
    folders = (spec and spec.submodule_search_locations) or []
    return Draft202012Validator(json.loads((Path(folders[0]) / META_SCHEMA).read_bytes()))


def _check_meta_schema(findings: Findings) -> None:
    """Check the document against the schema of OpenAPI 3.1, which defines values and combinations of keys."""
    for error in _compile_meta_schema().iter_errors(findings.file.document):
        pointer: Pointer = tuple(error.instance_path)
        findings.add(pointer, error.message.replace("\n", " ")[:300], "see the OpenAPI specification 3.1")


_DATA_KEYS = ("callbacks", "default", "enum", "example", "examples", "links", "webhooks")
"""Keys below which no schema has a model."""


def _list_schemas(node: Any, pointer: Pointer) -> list[tuple[Any, Pointer]]:
    """Return the outermost schemas of a document: those of components, parameters, headers and media types."""
    if pointer[:1] == ("components",) and len(pointer) == 3 and pointer[1] == "schemas":
        return [(node, pointer)]
    if isinstance(node, list):
        return [each for index, item in enumerate(node) for each in _list_schemas(item, (*pointer, index))]
    found: list[tuple[Any, Pointer]] = []
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "schema" and pointer[-1] not in ("schemas", "properties"):
            found.append((value, (*pointer, key)))
        elif key not in _DATA_KEYS and not key.startswith("x-"):
            found += _list_schemas(value, (*pointer, key))
    return found
