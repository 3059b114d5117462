"""Validation of the AsyncAPI document with the parser of AsyncAPI."""

import json
import subprocess
from pathlib import Path

from codegen import contracts
from codegen.checks import ContractCheckError, Finding
from codegen.events import asyncapi

VALIDATOR = Path(__file__).with_name("asyncapi.mjs")
LOCATION = "generated/asyncapi/delivery.yaml"


def validate(root: Path) -> list[Finding]:
    """Validate the document that is generated from the contracts below `root`."""
    return validate_document(str(asyncapi.generate(contracts.load(root))["asyncapi/delivery.yaml"]))


def validate_document(text: str) -> list[Finding]:
    """Return the parser's diagnostics of a document, of every severity."""
    result = subprocess.run(
        ["node", str(VALIDATOR)], input=text, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if result.returncode:
        raise ContractCheckError(f"@asyncapi/parser failed:\n{result.stderr.strip()}")
    return [
        Finding(f"{LOCATION}:{each['range']['start']['line'] + 1}", each["message"], str(each["code"]))
        for each in json.loads(result.stdout)
    ]
