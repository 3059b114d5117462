"""Third-party contracts: valid, and equal to the public contract where both describe the same message."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate

SPECS = Path(__file__).parents[3] / "api-specs/openapi"
DOCUMENTATION_KEYS = ("description", "title", "examples")


def load_spec(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.load((SPECS / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return spec


def resolve(spec: dict[str, Any], node: Any) -> Any:
    """Return the node with references resolved and documentation removed."""
    if isinstance(node, list):
        return [resolve(spec, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolve(spec, target)
    return {
        key: {name: resolve(spec, schema) for name, schema in value.items()}
        if key == "properties"
        else resolve(spec, value)
        for key, value in node.items()
        if key not in DOCUMENTATION_KEYS
    }


@pytest.mark.parametrize("name", ["identity", "payment-system", "partner-system", "fcm", "apns"])
def test_spec_and_its_examples_are_valid(name: str) -> None:
    spec = load_spec(name)
    validate(spec)
    example_count = 0
    for title, schema in spec["components"]["schemas"].items():
        for example in schema.get("examples", []):
            schema_with_components = {"$ref": f"#/components/schemas/{title}", "components": spec["components"]}
            jsonschema_rs.validate(schema_with_components, example)
            example_count += 1
    assert example_count


@pytest.mark.parametrize(
    ("name", "schema"), [("payment-system", "PaymentCallback"), ("partner-system", "ReadyCallback")]
)
def test_callback_schema_is_equal_in_both_specs(name: str, schema: str) -> None:
    third_party, public = load_spec(name), load_spec("delivery")
    third_party_schema = resolve(third_party, third_party["components"]["schemas"][schema])
    assert third_party_schema == resolve(public, public["components"]["schemas"][schema])
