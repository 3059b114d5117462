"""Validation of the AsyncAPI document with the parser of AsyncAPI."""

import json
import subprocess
from pathlib import Path

from codegen import contracts
from codegen.checks import ContractCheckError, Finding
from codegen.events import asyncapi

VALIDATOR = Path(__file__).with_name("asyncapi.mjs")


def validate(root: Path) -> list[Finding]:
    """Validate the document that is generated from the contracts below `root`."""
    source = contracts.load(root)
    return validate_document(asyncapi.render_document(source), f"generated/{asyncapi.get_output_path(source)}")


def validate_document(text: str, location: str) -> list[Finding]:
    """Return the parser's diagnostics of a document, of every severity, with its path."""
    result = subprocess.run(
        ["node", str(VALIDATOR)], input=text, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if result.returncode:
        raise ContractCheckError(f"@asyncapi/parser failed:\n{result.stderr.strip()}")
    return [
        Finding(f"{location}:{each['range']['start']['line'] + 1}", each["message"], str(each["code"]))
        for each in json.loads(result.stdout)
    ]
