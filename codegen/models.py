"""A msgspec struct for every named schema of every OpenAPI file, by datamodel-code-generator."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from codegen.contracts import Contracts, Files
from codegen.naming import module

HEADER = '"""Written by `make generate` from api-specs/openapi/{stem}.yaml. Do not edit."""'


def structs(stem: str, document: object) -> str:
    """One file's models."""
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
        return re.sub(r"\| UnsetType = (?!UNSET)", "= ", made.read_text())


def generate(contracts: Contracts) -> Files:
    """`generated/rest/<api>/models.py`."""
    return {f"rest/{module(stem)}/models.py": structs(stem, document) for stem, document in contracts.openapi.items()}
