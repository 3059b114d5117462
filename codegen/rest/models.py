"""Generator of msgspec structs for the schemas that handlers and clients use, with datamodel-code-generator.

Models exist for the schemas that parameters, request bodies and success responses of operations contain. Problem
documents are written by the runtime.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from codegen.contracts import HTTP_METHODS, ContractError, Contracts, Files
from codegen.naming import to_package_name
from codegen.tool_cache import get_or_create

UNSET_DEFAULT_PATTERN = re.compile(r"\| UnsetType = .*")
DATAMODEL_CODEGEN_OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "msgspec.Struct", "--target-python-version", "3.13"),
    *("--disable-timestamp", "--use-title-as-name", "--use-schema-description", "--keyword-only"),
    *("--output-datetime-class", "datetime", "--output-date-class", "date", "--enum-field-as-literal", "none"),
    *("--formatters", "builtin"),
)
HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""'
APIS_WITHOUT_MODELS = frozenset({"apns", "fcm", "identity", "payment-system"})
"""APIs whose messages are not decoded to models: the adapters use SDKs, and the sandbox reads JSON."""

SCHEMAS_PREFIX = "#/components/schemas/"


def list_merge_patch_schemas(contracts: Contracts, api: str) -> set[str]:
    """Return the names of merge patch schemas.

    Raises ContractError for a default value, which would hide that a field is absent.
    """
    names = set()
    for item in contracts.openapi[api].get("paths", {}).values():
        if "requestBody" not in item.get("patch", {}):
            continue
        for content in contracts.resolve_reference(api, item["patch"]["requestBody"])["content"].values():
            name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
            names.add(name)
            for field, schema in contracts.resolve_reference(api, content["schema"]).get("properties", {}).items():
                if "default" in schema or _has_defaults(contracts, api, schema):
                    reason = "has a default value, but absent fields of a merge patch must stay unchanged"
                    raise ContractError(f"{api}.yaml: {name}.{field} {reason}")
    return names


def list_used_schemas(contracts: Contracts, api: str) -> dict[str, Any]:
    """Return the schemas that parameters, request bodies and success responses contain, in file order."""
    nodes: list[Any] = []
    for item in contracts.openapi[api].get("paths", {}).values():
        nodes.append(item.get("parameters"))
        for operation in (item[method] for method in HTTP_METHODS if method in item):
            successes = [each for status, each in operation["responses"].items() if status.startswith("2")]
            nodes += [operation.get("parameters"), successes, operation.get("requestBody")]
    return list_referenced_schemas(contracts, api, nodes)


def list_referenced_schemas(contracts: Contracts, api: str, root: Any) -> dict[str, Any]:
    """Return the schemas that a part of a file references, directly or not, in file order."""
    schemas, references = contracts.get_schemas(api), set[str]()

    def collect(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                collect(each)
        if isinstance(node, dict):
            collect(list(node.values()))
            reference = node.get("$ref", "")
            if reference not in references | {""}:
                references.add(reference)
                name = reference.removeprefix(SCHEMAS_PREFIX)
                collect(schemas[name] if name in schemas else contracts.resolve_reference(api, node))

    collect(root)
    return {name: schema for name, schema in schemas.items() if SCHEMAS_PREFIX + name in references}


def _has_defaults(contracts: Contracts, api: str, schema: dict[str, Any]) -> bool:
    """Return whether an object has default values at any depth."""
    resolved = contracts.resolve_reference(api, schema)
    parts = [part for key in ("oneOf", "anyOf", "allOf") for part in resolved.get(key, ())]
    properties = resolved.get("properties", {}).values()
    return any("default" in contracts.resolve_reference(api, each) for each in properties) or any(
        _has_defaults(contracts, api, each) for each in [*parts, *properties]
    )


def make_optional_unset(text: str, names: Collection[str]) -> str:
    """Give the optional fields of the named models the default UNSET, including fields whose type has a default."""

    def replace(match: re.Match[str]) -> str:
        return UNSET_DEFAULT_PATTERN.sub("| UnsetType = UNSET", match[0]) if match[1] in names else match[0]

    return re.sub(r"^class (\w+)\(Struct.*\n(?:    .*\n|\n(?=    ))*", replace, text, flags=re.MULTILINE)


def generate_structs(stem: str, document: object, patch_schemas: Collection[str] = ()) -> str:
    """Generate the models of one file; `patch_schemas` are the names of merge patches."""
    source = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    text = run_generator(source, HEADER.format(stem=stem))
    # The generator adds UnsetType to fields with a default, although they are never unset.
    return re.sub(r"\| UnsetType = (?!UNSET)", "= ", make_optional_unset(text, patch_schemas))


def run_generator(text: str, header: str) -> str:
    """Run datamodel-code-generator on a document; the output is cached because a run takes seconds."""

    def create() -> str:
        # The generator would read settings of the repository, so it runs outside.
        with tempfile.TemporaryDirectory() as folder:
            source, models = Path(folder) / "source.yaml", Path(folder) / "models.py"
            source.write_text(text, encoding="utf-8")
            tool = str(Path(sys.executable).with_name("datamodel-codegen"))
            command = [
                tool,
                "--input",
                str(source),
                "--output",
                str(models),
                *DATAMODEL_CODEGEN_OPTIONS,
                "--custom-file-header",
                header,
            ]
            subprocess.run(command, check=True, cwd=folder, capture_output=True)
            return models.read_text(encoding="utf-8")

    return get_or_create(version("datamodel-code-generator"), *DATAMODEL_CODEGEN_OPTIONS, header, text, create=create)


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<api>/models.py`."""
    stems = [stem for stem in contracts.openapi if stem not in APIS_WITHOUT_MODELS]

    def generate_api(stem: str) -> str:
        schemas = list_used_schemas(contracts, stem)
        document = contracts.openapi[stem] | {"paths": {}, "components": {"schemas": schemas}}
        return generate_structs(stem, document, list_merge_patch_schemas(contracts, stem))

    with ThreadPoolExecutor(os.process_cpu_count()) as pool:
        texts = pool.map(generate_api, stems)
        return {f"rest/{to_package_name(stem)}/models.py": text for stem, text in zip(stems, texts, strict=True)}
