"""Merge patches of the models, and the defaults of their fields; the external generator is replaced by its output."""

from pathlib import Path
from typing import Any

import datamodel_code_generator.__main__
import pytest

from codegen import tool_cache
from codegen.contracts import ContractError
from codegen.rest import models
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

GENERATED = '''\
class Note(Struct, kw_only=True):
    """A note."""

    id: str
    text: str | UnsetType = UNSET
    colour: str | UnsetType = 'red'


class NotePatch(Struct, kw_only=True):
    text: str | UnsetType | None = UNSET

    colour: Colour | UnsetType = field(default_factory=lambda: Colour('red'))


Colour = str
DEFAULT: str | UnsetType = 'outside of a class'
'''


def with_patch(properties: dict[str, Any], **schemas: Any) -> set[str]:
    """Return the merge patch schemas of the sample document with properties of NotePatch and further schemas."""
    openapi = create_openapi()
    openapi["components"]["schemas"] |= schemas
    openapi["components"]["schemas"]["NotePatch"]["properties"] = properties
    return models.list_merge_patch_schemas(create_contracts(openapi=openapi), "delivery")


def test_bodies_of_patch_operations_are_merge_patches() -> None:
    assert with_patch({"text": {"type": "string"}}) == {"NotePatch"}


def test_patch_operation_without_body_has_no_merge_patch() -> None:
    openapi = create_openapi()
    del openapi["paths"]["/notes/{note_id}"]["patch"]["requestBody"]
    assert models.list_merge_patch_schemas(create_contracts(openapi=openapi), "delivery") == set()


def test_document_without_paths_has_no_merge_patch() -> None:
    openapi = create_openapi()
    del openapi["paths"]
    assert models.list_merge_patch_schemas(create_contracts(openapi=openapi), "delivery") == set()


@pytest.mark.parametrize(
    ("field", "schemas"),
    [
        ({"type": "string", "default": "red"}, {}),
        ({"$ref": "#/components/schemas/Hours"}, {"Hours": {"properties": {"from": {"default": 8}}}}),
        (
            {"oneOf": [{"$ref": "#/components/schemas/Hours"}, {"type": "null"}]},
            {"Hours": {"properties": {"a": {"default": 1}}}},
        ),
        ({"properties": {"inner": {"properties": {"deep": {"default": 1}}}}}, {}),
        ({"allOf": [{"properties": {"a": {"default": 1}}}]}, {}),
    ],
    ids=["own", "reference", "alternative", "nested", "part"],
)
def test_default_in_a_merge_patch_raises_contract_error(field: dict[str, Any], schemas: dict[str, Any]) -> None:
    with pytest.raises(
        ContractError, match=r"schema NotePatch\.hours: the property of a merge patch has a default value; remove it"
    ):
        with_patch({"hours": field}, **schemas)


def test_default_of_a_referenced_scalar_is_permitted() -> None:
    """The model of a named scalar has no default of its own."""
    assert with_patch({"colour": {"$ref": "#/components/schemas/Colour"}}, Colour={"type": "string", "default": "red"})


def test_merge_patch_may_contain_itself() -> None:
    assert with_patch({"next": {"$ref": "#/components/schemas/NotePatch"}}) == {"NotePatch"}


def test_fields_with_a_default_are_never_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "run_generator", lambda text, header: header + "\n" + GENERATED)
    text = models.generate_structs("delivery", {"openapi": "3.1.0"}, {"NotePatch"})
    assert "    colour: str = 'red'\n" in text
    assert "    text: str | UnsetType = UNSET\n" in text
    assert "    colour: Colour | UnsetType = UNSET\n" in text
    assert text.startswith('"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""\n')


def test_each_api_is_a_package_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, set[str]] = {}

    def record(stem: str, document: object, patch_classes: set[str]) -> str:
        calls[stem] = patch_classes
        return f"# {stem}"

    monkeypatch.setattr(models, "generate_structs", record)
    monkeypatch.setattr(models, "check_models", lambda *_: None)
    source = create_contracts()
    source.openapi["partner-system"] = {"paths": {}}
    source.openapi["fcm"] = {"x-models": False, "paths": {}}
    assert models.generate(source) == {
        "rest/delivery/models.py": "# delivery",
        "rest/partner_system/models.py": models.HEADER.format(stem="partner-system") + "\n",
    }
    assert calls == {"delivery": {"NotePatch"}}


def test_only_schemas_of_requests_and_successes_have_models() -> None:
    openapi = create_openapi()
    note = {"properties": {"text": {"$ref": "#/components/schemas/Text"}}}
    names = ("Text", "Alias", "Problem", "Signed", "Unused", "Parameter")
    openapi["components"]["schemas"] |= {name: {"type": "string"} for name in names} | {
        "Note": note,
        "Text": {"$ref": "#/components/schemas/Alias"},
    }
    openapi["components"]["parameters"]["NoteId"]["schema"] = {"$ref": "#/components/schemas/Parameter"}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    openapi["components"]["responses"]["NotFound"]["content"] = content
    callback = {"application/json": {"schema": {"$ref": "#/components/schemas/Signed"}}}
    openapi["paths"]["/callbacks"]["post"]["requestBody"]["content"] = callback
    used = models.list_used_schemas(create_contracts(openapi=openapi), "delivery")
    assert list(used) == ["Note", "NotePatch", "Text", "Alias", "Signed", "Parameter"]


def test_document_without_paths_has_models_of_its_webhooks() -> None:
    schema = {"$ref": "#/components/schemas/Points"}
    request = {"requestBody": {"content": {"application/json": {"schema": schema}}}, "responses": {}}
    schemas = {"Points": {"type": "object"}, "Unused": {"type": "object"}}
    source = create_contracts(openapi={"webhooks": {"earned": {"post": request}}, "components": {"schemas": schemas}})
    assert list(models.list_used_schemas(source, "delivery")) == ["Points"]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the arguments instead of running datamodel-code-generator, with an empty cache."""
    recorded: list[list[str]] = []

    def run(arguments: list[str]) -> int:
        recorded.append(arguments)
        source, output = (Path(arguments[arguments.index(name) + 1]) for name in ("--input", "--output"))
        output.write_text(f"# from {source.read_text(encoding='utf-8')}", encoding="utf-8")
        return 0

    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path / "cache")
    monkeypatch.setattr(datamodel_code_generator.__main__, "main", run)
    return recorded


def test_output_of_the_generator_is_cached_by_its_input(commands: list[list[str]]) -> None:
    assert models.run_generator("a", "header") == models.run_generator("a", "header") == "# from a"
    assert len(commands) == 1
    assert models.run_generator("b", "header") == "# from b"
    models.run_generator("a", "other header")
    assert len(commands) == 3


def test_generator_receives_header_and_options(commands: list[list[str]]) -> None:
    models.run_generator("a", "header")
    assert commands[0][-2:] == ["--custom-file-header", "header"]
    assert set(models.DATAMODEL_CODEGEN_OPTIONS) <= set(commands[0])


def test_failure_of_the_generator_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path / "cache")
    with pytest.raises(ContractError, match=r"^datamodel-code-generator failed: "):
        models.run_generator("[", "header")
    assert not (tmp_path / "cache").exists()
