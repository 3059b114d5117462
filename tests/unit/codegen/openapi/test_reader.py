"""Reading of OpenAPI files with all of their checks."""

from pathlib import Path

import yaml

from codegen.errors import ContractErrors
from codegen.openapi.findings import OpenApiFile
from codegen.openapi.reader import read_openapi_file
from tests.unit.codegen.openapi.sample_documents import DOCUMENT, OPERATION, change_document, find_errors, with_property


def read(folder: Path, text: str, name: str = "delivery.yaml") -> tuple[OpenApiFile | None, list[str]]:
    """Return the file and its errors."""
    path, errors = folder / name, ContractErrors()
    path.write_text(text, encoding="utf-8")
    file = read_openapi_file(folder, path, errors, is_served=name == "delivery.yaml")
    return file, errors.messages


def dump(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def test_correct_file_has_no_errors(tmp_path: Path) -> None:
    file, errors = read(tmp_path, dump(DOCUMENT))
    assert errors == []
    assert file is not None
    assert file.document == DOCUMENT


def test_error_has_file_and_line(tmp_path: Path) -> None:
    text = dump(with_property({"type": "text"}))
    line = text.splitlines().index("          type: text") + 1
    _, errors = read(tmp_path, text)
    remedy = "use one of array, boolean, integer, null, number, object, string"
    assert errors == [f"delivery.yaml:{line}: schema Thing.value: the type text is unknown; {remedy}"]


def test_invalid_yaml_is_an_error(tmp_path: Path) -> None:
    file, errors = read(tmp_path, "openapi: [")
    assert file is None
    assert errors[0].startswith("delivery.yaml:2:1: ")


def test_dangling_reference_outside_of_the_checked_structure_is_an_error(tmp_path: Path) -> None:
    document = change_document()
    document["paths"]["/things"]["get"]["callbacks"] = {"done": {"$ref": "#/components/callbacks/Done"}}
    _, errors = read(tmp_path, dump(document))
    assert len(errors) == 1
    assert "'#/components/callbacks/Done' has no target" in errors[0]


def test_document_that_violates_the_specification_is_an_error() -> None:
    (error,) = find_errors(change_document(components={"securitySchemes": {"bearer": {"type": "magic"}}}, paths={}))
    assert error.startswith("security scheme bearer: ")
    assert error.endswith("; see the OpenAPI specification 3.1")


def test_rules_depend_on_the_file(tmp_path: Path) -> None:
    document = change_document(paths={"/things": {"get": {"responses": {"200": {"description": "Fine."}}}}})
    for name, count in (("delivery.yaml", 2), ("partner-system.yaml", 0), ("fcm.yaml", 0)):
        _, errors = read(tmp_path, dump(document), name)
        assert len(errors) == count, (name, errors)


def test_file_without_paths_and_components_is_read(tmp_path: Path) -> None:
    _, errors = read(tmp_path, dump({key: DOCUMENT[key] for key in ("openapi", "info")} | {"webhooks": {}}), "a.yaml")
    assert errors == []


def test_component_that_is_a_reference_is_its_target() -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    document = change_document(
        paths={
            "/things": {
                "post": OPERATION
                | {
                    "requestBody": {"$ref": "#/components/requestBodies/Alias"},
                    "responses": {"200": {"$ref": "#/components/responses/Other"}},
                }
            }
        }
    )
    document["components"] |= {
        "requestBodies": {
            "Alias": {"$ref": "#/components/requestBodies/Body"},
            "Body": {"required": True, "content": content},
        },
        "responses": {
            "Other": {"$ref": "#/components/responses/Alias"},
            "Alias": {"$ref": "#/components/responses/Things"},
            "Things": {"description": "Fine.", "content": content},
        },
    }
    assert find_errors(document) == []
    assert document["components"]["responses"]["Other"] == {"description": "Fine.", "content": content}
    assert document["components"]["requestBodies"]["Alias"] == {"required": True, "content": content}
