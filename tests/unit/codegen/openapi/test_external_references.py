"""References to components of other files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen.errors import ContractError, ContractErrors
from codegen.openapi.external_references import read_with_components
from codegen.openapi.reader import read_openapi_file
from tests.unit.codegen.openapi.sample_documents import with_property

COMMON: dict[str, Any] = {
    "components": {
        "schemas": {
            "Money": {"type": "object", "properties": {"currency": {"$ref": "#/components/schemas/Currency"}}},
            "Currency": {"type": "string", "example": {"$ref": "data"}},
            "Tree": {
                "type": "object",
                "properties": {"parent": {"$ref": "#/components/schemas/Tree"}, "thing": {"$ref": "THING"}},
            },
        }
    }
}
THING = "../sample.yaml#/components/schemas/Thing"


def write(root: Path, reference: str, common: dict[str, Any] = COMMON) -> Path:
    """Write a document with a reference in the schema Thing, and another file. Return the path of the document."""
    folder = root / "api-specs/openapi"
    (folder / "common").mkdir(parents=True)
    path = folder / "sample.yaml"
    path.write_text(yaml.safe_dump(with_property({"$ref": reference}), sort_keys=False), encoding="utf-8")
    text = yaml.safe_dump(common, sort_keys=False).replace("$ref: THING", f"$ref: {THING}")
    (folder / "common/types.yaml").write_text(text, encoding="utf-8")
    return path


def read_schemas(root: Path, path: Path) -> dict[str, Any]:
    document, _ = read_with_components(root, path)
    schemas: dict[str, Any] = document.content["components"]["schemas"]
    return schemas


def test_component_is_copied_with_those_to_which_it_refers(tmp_path: Path) -> None:
    path = write(tmp_path, "common/types.yaml#/components/schemas/Money")
    schemas = read_schemas(tmp_path, path)
    assert schemas["Thing"]["properties"]["value"] == {"$ref": "#/components/schemas/Money"}
    assert {name: schemas.get(name) for name in COMMON["components"]["schemas"]} == {
        **COMMON["components"]["schemas"],
        "Tree": None,
    }


def test_component_may_refer_to_itself_and_to_the_document(tmp_path: Path) -> None:
    path = write(tmp_path, "common/types.yaml#/components/schemas/Tree")
    references = {name: each["$ref"] for name, each in read_schemas(tmp_path, path)["Tree"]["properties"].items()}
    assert references == {"parent": "#/components/schemas/Tree", "thing": "#/components/schemas/Thing"}


def test_document_without_references_to_files_is_unchanged(tmp_path: Path) -> None:
    document, origins = read_with_components(tmp_path, write(tmp_path, "#/components/schemas/Thing"))
    assert document.content["components"]["schemas"].keys().isdisjoint(COMMON["components"]["schemas"])
    assert origins == {}


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("https://example.com/a.yaml#/components/schemas/A", "leads out of api-specs/openapi; copy the file"),
        ("../../secret.yaml#/components/schemas/A", "leads out of api-specs/openapi; copy the file"),
        ("common/types.json#/components/schemas/Money", "leads to no .yaml file; correct the path"),
        ("common/%00.yaml#/components/schemas/Money", "leads to no .yaml file; correct the path"),
        (f"{'a' * 300}.yaml#/components/schemas/Money", "leads to no .yaml file; correct the path"),
        ("common/none.yaml#/components/schemas/Money", "leads to no .yaml file; correct the path"),
        ("common/types.yaml", "leads to no component; write file.yaml#/components/…"),
        ("common/types.yaml#/paths/~1things", "leads to no component; write file.yaml#/components/…"),
        ("common/types.yaml#/components/schemas/None", "leads to no component of this name; correct it"),
    ],
)
def test_wrong_reference_is_reported_with_place(tmp_path: Path, reference: str, problem: str) -> None:
    path = write(tmp_path, reference)
    line = next(i for i, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if reference in text)
    with pytest.raises(ContractError) as caught:
        read_with_components(tmp_path, path)
    (message,) = caught.value.messages
    assert message.startswith(f"api-specs/openapi/sample.yaml:{line}: the reference {reference!r} {problem}")


def test_components_of_the_same_name_are_reported(tmp_path: Path) -> None:
    common = {"components": {"schemas": {"Thing": {"type": "string"}}}}
    path = write(tmp_path, "common/types.yaml#/components/schemas/Thing", common)
    with pytest.raises(ContractError, match=r"another Thing than that of api-specs/openapi/sample\.yaml:\d+;"):
        read_with_components(tmp_path, path)


def test_broken_reference_of_other_file_is_reported_there(tmp_path: Path) -> None:
    common = {"components": {"schemas": {"Money": {"allOf": [{"$ref": "#/components/schemas/None"}]}}}}
    path = write(tmp_path, "common/types.yaml#/components/schemas/Money", common)
    with pytest.raises(ContractError, match=r"^api-specs/openapi/common/types\.yaml:5: the reference '#/comp.*/None'"):
        read_with_components(tmp_path, path)


def test_rule_that_a_component_violates_is_reported_in_its_file(tmp_path: Path) -> None:
    common = {"components": {"schemas": {"Money": {"type": "object", "nullable": True}}}}
    path, errors = write(tmp_path, "common/types.yaml#/components/schemas/Money", common), ContractErrors()
    read_openapi_file(tmp_path, path, errors, is_served=False)
    (message,) = errors.messages
    assert message.startswith("api-specs/openapi/common/types.yaml:5: schema Money: `nullable`")


def test_invalid_yaml_of_other_file_is_reported_there(tmp_path: Path) -> None:
    path = write(tmp_path, "common/types.yaml#/components/schemas/Money")
    (path.parent / "common/types.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ContractError, match=r"^api-specs/openapi/common/types\.yaml:2:1: "):
        read_with_components(tmp_path, path)
