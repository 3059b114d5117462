"""A msgspec struct for every named schema of every OpenAPI file, by datamodel-code-generator."""

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

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import package_name
from codegen.tool_cache import get_or_create

UNSET_DEFAULT_PATTERN = re.compile(r"\| UnsetType = .*")
DATAMODEL_CODEGEN_OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "msgspec.Struct", "--target-python-version", "3.13"),
    *("--disable-timestamp", "--use-title-as-name", "--use-schema-description", "--keyword-only"),
    *("--output-datetime-class", "datetime", "--output-date-class", "date", "--enum-field-as-literal", "none"),
    *("--formatters", "builtin"),
)
HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""'


def merge_patch_schemas(contracts: Contracts, api: str) -> set[str]:
    """The schemas of merge patches. Raises ContractError where a default would hide that something is absent."""
    found = set()
    for item in contracts.openapi[api].get("paths", {}).values():
        if "requestBody" not in item.get("patch", {}):
            continue
        for content in contracts.resolve_reference(api, item["patch"]["requestBody"])["content"].values():
            name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
            found.add(name)
            for field, schema in contracts.resolve_reference(api, content["schema"]).get("properties", {}).items():
                if "default" in schema or _has_defaults(contracts, api, schema):
                    why = "has a default, but a merge patch leaves alone what it does not name"
                    raise ContractError(f"{api}.yaml: {name}.{field} {why}")
    return found


def _has_defaults(contracts: Contracts, api: str, schema: dict[str, Any]) -> bool:
    """Whether an object has defaults, at any depth."""
    plain = contracts.resolve_reference(api, schema)
    parts = [part for key in ("oneOf", "anyOf", "allOf") for part in plain.get(key, ())]
    inside = plain.get("properties", {}).values()
    return any("default" in contracts.resolve_reference(api, each) for each in inside) or any(
        _has_defaults(contracts, api, each) for each in [*parts, *inside]
    )


def make_optional_unset(text: str, names: Collection[str]) -> str:
    """The models with every field of these unset where it is absent, also one whose type has a default."""

    def each(found: re.Match[str]) -> str:
        return UNSET_DEFAULT_PATTERN.sub("| UnsetType = UNSET", found[0]) if found[1] in names else found[0]

    return re.sub(r"^class (\w+)\(Struct.*\n(?:    .*\n|\n(?=    ))*", each, text, flags=re.MULTILINE)


def generate_structs(stem: str, document: object, patch_schemas: Collection[str] = ()) -> str:
    """One file's models; `merged` are those of merge patches."""
    written = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    text = run_generator(written, HEADER.format(stem=stem))
    # The generator lets a field with a default be unset too, which it then never is.
    return re.sub(r"\| UnsetType = (?!UNSET)", "= ", make_optional_unset(text, patch_schemas))


def run_generator(text: str, header: str) -> str:
    """What the generator makes of a text, which takes it seconds."""

    def make() -> str:
        # Outside the repository, whose settings the generator would find and follow.
        with tempfile.TemporaryDirectory() as folder:
            source, models = Path(folder) / "source.yaml", Path(folder) / "models.py"
            source.write_text(text)
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
            return models.read_text()

    return get_or_create(version("datamodel-code-generator"), *DATAMODEL_CODEGEN_OPTIONS, header, text, create=make)


def generate(contracts: Contracts) -> Files:
    """`generated/rest/<api>/models.py`."""
    files = contracts.openapi
    with ThreadPoolExecutor(os.process_cpu_count()) as pool:
        made = pool.map(lambda stem: generate_structs(stem, files[stem], merge_patch_schemas(contracts, stem)), files)
        return {f"rest/{package_name(stem)}/models.py": text for stem, text in zip(files, made, strict=True)}
