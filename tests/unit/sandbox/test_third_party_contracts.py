"""The third parties' contracts: sound by themselves, and of one mind with ours where both describe the same message."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate

SPECS = Path(__file__).parents[3] / "api-specs/openapi"
WORDS = ("description", "title", "examples")


def load(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((SPECS / f"{name}.yaml").read_text())
    return spec


def plain(spec: dict[str, Any], node: Any) -> Any:
    """The node without references and words: what it allows."""
    if isinstance(node, list):
        return [plain(spec, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return plain(spec, target)
    return {
        key: {name: plain(spec, schema) for name, schema in value.items()}
        if key == "properties"
        else plain(spec, value)
        for key, value in node.items()
        if key not in WORDS
    }


@pytest.mark.parametrize("name", ["identity", "payment-system", "partner-system", "fcm", "apns"])
def test_a_spec_is_valid_and_its_examples_are(name: str) -> None:
    spec = load(name)
    validate(spec)
    checked = 0
    for title, schema in spec["components"]["schemas"].items():
        for example in schema.get("examples", []):
            whole = {"$ref": f"#/components/schemas/{title}", "components": spec["components"]}
            jsonschema_rs.validate(whole, example)
            checked += 1
    assert checked


@pytest.mark.parametrize(
    ("name", "schema"), [("payment-system", "PaymentCallback"), ("partner-system", "ReadyCallback")]
)
def test_a_callback_is_the_same_on_both_sides(name: str, schema: str) -> None:
    theirs, ours = load(name), load("delivery")
    assert plain(theirs, theirs["components"]["schemas"][schema]) == plain(ours, ours["components"]["schemas"][schema])
