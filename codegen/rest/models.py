"""Generator of msgspec structs for the schemas that handlers and clients use, with datamodel-code-generator.

Models exist for the schemas that parameters, request bodies and success responses of operations contain. Problem
documents are written by the runtime.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from codegen.contracts import HTTP_METHODS, ContractError, Contracts, Files
from codegen.errors import ContractErrors, map_all
from codegen.naming import to_package_name
from codegen.openapi.names import get_class_name
from codegen.openapi.reader import has_generated_models
from codegen.openapi.schemas import SCHEMAS_PREFIX
from codegen.rest.model_checks import check_models
from codegen.rest.model_fields import normalise_optional_fields
from codegen.rest.model_source import ModelSource
from codegen.tool_cache import get_or_create
from codegen.yaml_input import list_references

DATAMODEL_CODEGEN_OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "msgspec.Struct", "--target-python-version", "3.13"),
    *("--disable-timestamp", "--use-title-as-name", "--use-schema-description", "--keyword-only"),
    *("--output-datetime-class", "datetime", "--output-date-class", "date", "--enum-field-as-literal", "none"),
    *("--formatters", "builtin", "--ignore-pyproject", "--no-allow-remote-refs", "--strict-refs"),
    *("--naming-strategy", "primary-first", "--deserialize-default-values", "enum", "decimal"),
    *("--use-msgspec-nullable-enum-alias", "--use-msgspec-tagged-unions", "--tag-msgspec-by-payload-name"),
    *("--intersect-allof-keywords", "--use-typed-nullable-map-values", "--omit-redundant-reference-null"),
)
HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""'


def list_merge_patch_schemas(contracts: Contracts, api: str) -> set[str]:
    """Return the names of merge patch schemas.

    Raises ContractError for a default value, which would hide that a field is absent.
    """
    names, errors = set(), ContractErrors()
    for item in contracts.openapi[api].get("paths", {}).values():
        if "requestBody" not in item.get("patch", {}):
            continue
        for content in contracts.resolve_reference(api, item["patch"]["requestBody"])["content"].values():
            name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
            names.add(name)
            for field, schema in contracts.resolve_reference(api, content["schema"]).get("properties", {}).items():
                if "default" in schema or _has_defaults(contracts, api, schema):
                    location = contracts.format_location(api, "components", "schemas", name, "properties", field)
                    problem = "the property of a merge patch has a default value"
                    errors.add(f"{location}: {problem}; remove it, absent properties stay unchanged")
    errors.raise_if_any()
    return names


def list_used_schemas(contracts: Contracts, api: str) -> dict[str, Any]:
    """Return the schemas that parameters, request bodies and success responses contain, in file order."""
    nodes: list[Any] = []
    document = contracts.openapi[api]
    for item in (document.get("paths") or document.get("webhooks", {})).values():
        nodes.append(item.get("parameters"))
        for operation in (item[method] for method in HTTP_METHODS if method in item):
            successes = [each for status, each in operation["responses"].items() if status.startswith("2")]
            nodes += [operation.get("parameters"), successes, operation.get("requestBody")]
    return list_referenced_schemas(contracts, api, nodes)


def list_referenced_schemas(contracts: Contracts, api: str, root: Any) -> dict[str, Any]:
    """Return the schemas that a part of a file references, directly or not, in file order."""
    schemas, references = contracts.get_schemas(api), set[str]()

    def collect(node: Any) -> None:
        for _, reference in list_references(node):
            if reference not in references:
                references.add(reference)
                name = reference.removeprefix(SCHEMAS_PREFIX)
                collect(schemas[name] if name in schemas else contracts.resolve_reference(api, {"$ref": reference}))

    collect(root)
    return {name: schema for name, schema in schemas.items() if SCHEMAS_PREFIX + name in references}


def _has_defaults(contracts: Contracts, api: str, schema: Any, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether an object has default values at any depth. A schema may contain itself."""
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    if not isinstance(schema, dict) or reference in seen:
        return False
    seen |= {reference} if reference else set()
    resolved = contracts.resolve_reference(api, schema)
    parts = [part for key in ("oneOf", "anyOf", "allOf") for part in resolved.get(key, ())]
    properties = [each for each in resolved.get("properties", {}).values() if isinstance(each, dict)]
    return any("default" in contracts.resolve_reference(api, each) for each in properties) or any(
        _has_defaults(contracts, api, each, seen) for each in [*parts, *properties]
    )


def generate_structs(stem: str, document: object, patch_classes: Collection[str] = ()) -> str:
    """Generate the models of one file; `patch_classes` are those of merge patches."""
    source = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    return normalise_optional_fields(run_generator(source, HEADER.format(stem=stem)), patch_classes)


def run_generator(text: str, header: str) -> str:
    """Run datamodel-code-generator on a document; the output is cached because a run takes a second.

    Raises ContractError with its message if it fails.
    """

    def create() -> str:
        # Imported here, because most runs find the output in the cache.
        from datamodel_code_generator.__main__ import main  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            source, models = Path(folder) / "source.yaml", Path(folder) / "models.py"
            source.write_text(text, encoding="utf-8")
            paths = ("--input", str(source), "--output", str(models))
            messages = io.StringIO()
            with contextlib.redirect_stderr(messages):
                code = main([*paths, *DATAMODEL_CODEGEN_OPTIONS, "--custom-file-header", header])
            if code:
                reason = messages.getvalue().strip().rpartition("\n")[2].replace(str(source), "the schemas")
                raise ContractError(f"datamodel-code-generator failed: {reason}")
            return models.read_text(encoding="utf-8")

    return get_or_create(version("datamodel-code-generator"), *DATAMODEL_CODEGEN_OPTIONS, header, text, create=create)


def generate_api(contracts: Contracts, stem: str) -> str:
    """Generate and check the models of one file."""
    schemas, patches = list_used_schemas(contracts, stem), list_merge_patch_schemas(contracts, stem)
    if not schemas:
        return HEADER.format(stem=stem) + "\n"
    document = contracts.openapi[stem] | {"paths": {}, "components": {"schemas": ModelSource(schemas).convert()}}
    try:
        text = generate_structs(stem, document, {get_class_name(name) for name in patches})
    except ContractError as error:
        location = contracts.format_location(stem, "components", "schemas")
        raise ContractError(f"{location}: {error}; simplify the schemas") from error
    check_models(contracts, stem, schemas, text, patches)
    return text


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<api>/models.py`."""
    stems = [stem for stem, document in contracts.openapi.items() if has_generated_models(document)]
    texts = map_all(lambda stem: generate_api(contracts, stem), stems)
    return {f"rest/{to_package_name(stem)}/models.py": text for stem, text in zip(stems, texts, strict=True)}
