"""A msgspec struct for every named schema of every OpenAPI file, by datamodel-code-generator."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import module

DEFAULT = re.compile(r"\| UnsetType = .*")
HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""'


def patches(contracts: Contracts, api: str) -> set[str]:
    """The schemas of merge patches. Raises ContractError where a default would hide that something is absent."""
    found = set()
    for item in contracts.openapi[api].get("paths", {}).values():
        if "requestBody" not in item.get("patch", {}):
            continue
        for content in contracts.deref(api, item["patch"]["requestBody"])["content"].values():
            name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
            found.add(name)
            for field, schema in contracts.deref(api, content["schema"]).get("properties", {}).items():
                if "default" in schema or _defaults(contracts, api, schema):
                    why = "has a default, but a merge patch leaves alone what it does not name"
                    raise ContractError(f"{api}.yaml: {name}.{field} {why}")
    return found


def _defaults(contracts: Contracts, api: str, schema: dict[str, Any]) -> bool:
    """Whether an object has defaults, at any depth."""
    plain = contracts.deref(api, schema)
    parts = [part for key in ("oneOf", "anyOf", "allOf") for part in plain.get(key, ())]
    inside = plain.get("properties", {}).values()
    return any("default" in contracts.deref(api, each) for each in inside) or any(
        _defaults(contracts, api, each) for each in [*parts, *inside]
    )


def unset(text: str, names: Collection[str]) -> str:
    """The models with every field of these unset where it is absent, also one whose type has a default."""

    def each(found: re.Match[str]) -> str:
        return DEFAULT.sub("| UnsetType = UNSET", found[0]) if found[1] in names else found[0]

    return re.sub(r"^class (\w+)\(Struct.*\n(?:    .*\n|\n(?=    ))*", each, text, flags=re.MULTILINE)


def structs(stem: str, document: object, merged: Collection[str] = ()) -> str:
    """One file's models; `merged` are those of merge patches."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / f"{stem}.yaml", Path(folder) / "models.py"
        source.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        subprocess.run(
            [
                Path(sys.executable).with_name("datamodel-codegen"),
                *("--input", source, "--input-file-type", "openapi", "--output", made),
                *("--output-model-type", "msgspec.Struct", "--target-python-version", "3.13"),
                *("--disable-timestamp", "--use-title-as-name", "--use-schema-description", "--keyword-only"),
                *(
                    "--output-datetime-class",
                    "datetime",
                    "--output-date-class",
                    "date",
                    "--enum-field-as-literal",
                    "none",
                ),
                *("--formatters", "builtin", "--custom-file-header", HEADER.format(stem=stem)),
            ],
            check=True,
            cwd=folder,
            capture_output=True,
        )
        # The generator lets a field with a default be unset too, which it then never is.
        return re.sub(r"\| UnsetType = (?!UNSET)", "= ", unset(made.read_text(), merged))


def generate(contracts: Contracts) -> Files:
    """`generated/rest/<api>/models.py`."""
    return {
        f"rest/{module(stem)}/models.py": structs(stem, document, patches(contracts, stem))
        for stem, document in contracts.openapi.items()
    }
