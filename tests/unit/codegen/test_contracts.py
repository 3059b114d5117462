"""Resolution of references, and reading of the contract files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codegen.contracts import ContractError, load
from tests import sample
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi


def test_node_without_reference_is_returned_unchanged() -> None:
    node = {"type": "string"}
    assert create_contracts().resolve_reference("delivery", node) is node


def test_chain_of_references_resolves_to_its_end() -> None:
    openapi = create_openapi()
    openapi["components"]["schemas"] |= {"First": {"$ref": "#/components/schemas/NoteId"}}
    source = create_contracts(openapi=openapi)
    resolved = source.resolve_reference("delivery", {"$ref": "#/components/schemas/First"})
    assert resolved == {"type": "string", "minLength": 1}


@given(st.text(min_size=1))
def test_escaped_characters_of_json_pointers_are_decoded(name: str) -> None:
    source = replace(create_contracts(), openapi={"api": {"paths": {name: {"get": {}}}}})
    escaped = name.replace("~", "~0").replace("/", "~1")
    assert source.resolve_reference("api", {"$ref": f"#/paths/{escaped}"}) == {"get": {}}


def test_reference_to_missing_node_raises_key_error() -> None:
    with pytest.raises(KeyError, match="Missing"):
        create_contracts().resolve_reference("delivery", {"$ref": "#/components/schemas/Missing"})


def test_schemas_are_those_of_the_named_file() -> None:
    assert create_contracts().get_schemas("delivery").keys() == {"NoteId", "Note", "NotePatch", "Problem"}


def create_document(title: str) -> dict[str, Any]:
    return {"info": {"title": title, "version": "1.0.0"}, "openapi": "3.1.0", "paths": {}}


def test_location_of_contracts_in_memory_has_no_line() -> None:
    assert create_contracts().format_location("delivery", "paths", "/callbacks", "post") == (
        "delivery.yaml: operation receiveCallback"
    )


def test_load_reports_the_errors_of_all_files(tmp_path: Path) -> None:
    sample.compile_protos(tmp_path, "v1/sample.proto")
    (tmp_path / "api-specs/proto/sample/v1/sample.proto").write_text("messag Note {}", encoding="utf-8")
    folder = tmp_path / "api-specs/openapi"
    folder.mkdir()
    (folder / "fcm.yaml").write_text(yaml.safe_dump(create_document("fcm") | {"pahts": {}}), encoding="utf-8")
    (folder / "apns.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load(tmp_path)
    names = [message.split(":")[0].rpartition("/")[2] for message in caught.value.messages]
    assert names[:2] == ["apns.yaml", "fcm.yaml"]
    assert set(names[2:]) == {"sample.proto"}


def test_load_reads_openapi_files_by_stem(tmp_path: Path) -> None:
    sample.compile_protos(tmp_path, "v1/sample.proto")
    folder = tmp_path / "api-specs/openapi"
    folder.mkdir()
    for stem in ("partner-system", "fcm"):
        (folder / f"{stem}.yaml").write_text(yaml.safe_dump(create_document(stem)), encoding="utf-8")
    (folder / "notes.md").write_text("not a contract", encoding="utf-8")
    loaded = load(tmp_path)
    assert loaded.openapi == {stem: create_document(stem) for stem in ("fcm", "partner-system")}
    assert loaded.format_location("fcm", "info", "title") == "api-specs/openapi/fcm.yaml:2: info"
    assert [service.name for service in loaded.protos.services] == ["EchoService", "StreamService"]


def test_load_reports_contract_in_subfolder_unless_it_is_referenced(tmp_path: Path) -> None:
    sample.compile_protos(tmp_path, "v1/sample.proto")
    schemas = {"components": {"schemas": {"Amount": {"type": "integer"}}}}
    for name, content in {"common/money": schemas, "fcm": create_document("fcm")}.items():
        path = tmp_path / f"api-specs/openapi/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ContractError, match=r"^api-specs/openapi/common/money\.yaml: no contract refers to this file"):
        load(tmp_path)
    reference = {"components": {"schemas": {"Price": {"$ref": "common/money.yaml#/components/schemas/Amount"}}}}
    path.write_text(yaml.safe_dump(create_document("fcm") | reference), encoding="utf-8")
    assert load(tmp_path).get_schemas("fcm").keys() == {"Price", "Amount"}


def test_load_with_invalid_protobuf_file_raises_contract_error(tmp_path: Path) -> None:
    sample.compile_protos(tmp_path, "v1/sample.proto")
    (tmp_path / "api-specs/proto/sample/v1/sample.proto").write_text(
        'syntax = "proto3";\nmessag Note {}\n', encoding="utf-8"
    )
    (tmp_path / "api-specs/openapi").mkdir()
    with pytest.raises(ContractError, match=r"sample\.proto:2"):
        load(tmp_path)
