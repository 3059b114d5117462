import copy
import re
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from types import ModuleType
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.contracts import ContractError, Contracts
from codegen.rest import models
from services.runtime.rest.types import Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    SPECIFICATION,
    THING,
    Kind,
    RecordingThingsHandler,
    assert_problem,
    create_app,
    send_request,
)
from tests.unit.codegen.sample_contracts import create_contracts

THINGS = RecordingThingsHandler(lambda: Response(THING))
APP = create_app(THINGS)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["a1", "b2"]),
    "count": st.none() | st.integers(0, 9),
    "born": st.none() | st.dates(),
    "tags": st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=3),
    "kind": st.none() | st.sampled_from(Kind),
    "colour": st.sampled_from(["red", "blue"]),
}


def build_contracts(**patch_properties: Any) -> Contracts:
    """Return the sample document as a contract, with added properties of its merge patch."""
    document = copy.deepcopy(SPECIFICATION)
    document["components"]["schemas"]["ThingPatch"]["properties"] |= patch_properties
    sample = create_contracts()
    return Contracts(openapi={"sample": document}, protos=sample.protos, mesh=sample.mesh)


@cache
def generate_models() -> str:
    return str(models.generate(build_contracts())["rest/sample/models.py"])


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """The generated models as an imported module."""
    module = ModuleType("sample_models")
    sys.modules[module.__name__] = module
    exec(generate_models(), module.__dict__)  # noqa: S102
    yield module
    del sys.modules[module.__name__]


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({}, optional=FIELDS).filter(bool))
def test_null_field_is_none_and_absent_field_is_unset(patch: dict[str, Any]) -> None:
    THINGS.calls.clear()
    headers = {"content-type": "application/json", **IDENTITY_HEADERS}
    assert (
        send_request(APP, "PATCH", "/things/a1", content=msgspec.json.encode(patch), headers=headers).status_code == 200
    )
    body = THINGS.calls[0]["body"]
    assert {name: getattr(body, name) for name in FIELDS} == {n: patch.get(n, msgspec.UNSET) for n in FIELDS}


@pytest.mark.parametrize("body", [{}, {"id": None}, {"colour": None}, {"more": None}, None, []])
def test_patch_with_invalid_null_or_field_is_rejected(body: Any) -> None:
    THINGS.calls.clear()
    assert_problem(
        send_request(APP, "PATCH", "/things/a1", json=body, headers=IDENTITY_HEADERS), 400, "INVALID_REQUEST"
    )
    assert THINGS.calls == []


def test_generated_model_equals_model_of_sample(module: ModuleType) -> None:
    hints = get_type_hints(module.ThingPatch)
    assert hints.keys() == FIELDS.keys()
    assert {n: getattr(module.ThingPatch(), n) for n in hints} == dict.fromkeys(FIELDS, msgspec.UNSET)
    assert hints["born"] == date | None | msgspec.UnsetType
    assert type(None) not in hints["id"].__args__
    assert msgspec.json.decode(b'{"count":null}', type=module.ThingPatch) == module.ThingPatch(count=None)


def test_default_is_removed_from_merge_patch_only() -> None:
    sample_contracts = build_contracts()
    sample_contracts.get_schemas("sample")["Thing"]["properties"]["colour"] = {"$ref": "#/components/schemas/Colour"}
    text = str(models.generate(sample_contracts)["rest/sample/models.py"])
    assert re.search(r"class Thing\(.*colour: Colour = .red.*class ThingPatch", text, re.DOTALL)
    assert re.search(r"class ThingPatch\(.*colour: Colour \| UnsetType = UNSET", text, re.DOTALL)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "default": 3},
        {"type": "object", "properties": {"a": {"type": "integer", "default": 3}}},
        {"oneOf": [{"$ref": "#/components/schemas/Nested"}, {"type": "null"}]},
    ],
    ids=["own", "nested", "referenced"],
)
def test_default_in_merge_patch_is_rejected(schema: dict[str, Any]) -> None:
    sample_contracts = build_contracts(extra=schema)
    sample_contracts.get_schemas("sample")["Nested"] = {
        "type": "object",
        "properties": {"deep": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Colour"}}}},
    }
    with pytest.raises(ContractError, match=r"^sample.yaml: schema ThingPatch.extra: the property of a merge"):
        models.generate(sample_contracts)


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json", "Application/JSON; a=b"])
def test_patch_is_accepted_in_both_media_types(media_type: str) -> None:
    headers = {**IDENTITY_HEADERS, "content-type": media_type}
    assert send_request(APP, "PATCH", "/things/a1", content=b'{"count": 4}', headers=headers).status_code == 200


def test_unsupported_patch_type_is_answered_with_accept_patch() -> None:
    headers = {**IDENTITY_HEADERS, "content-type": "application/json-patch+json"}
    response = send_request(APP, "PATCH", "/things/a1", content=b"[]", headers=headers)
    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert response.headers["accept-patch"] == "application/json, application/merge-patch+json"


def test_resource_that_can_be_patched_has_accept_patch() -> None:
    response = send_request(APP, "GET", "/things/a1", headers=IDENTITY_HEADERS)
    assert response.headers["accept-patch"] == "application/json, application/merge-patch+json"


def test_app_with_two_media_types_starts_without_warnings(caplog: pytest.LogCaptureFixture) -> None:
    send_request(create_app(THINGS), "GET", "/things/a1", headers=IDENTITY_HEADERS)
    assert caplog.records == []
