"""Python names of the contract's names."""

import pytest
from google.protobuf.descriptor_pb2 import EnumDescriptorProto

from codegen.rpc import python_names
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.stub import Stub


@pytest.mark.parametrize(
    ("name", "class_name"), [("Outer.HTTPStatus", "OuterHttpStatus"), ("thing", "Thing"), ("None", "None")]
)
def test_class_name_has_pascal_case(name: str, class_name: str) -> None:
    assert python_names.get_class_name(name) == class_name


@pytest.mark.parametrize(
    ("field", "attribute"),
    [("order_id", "order_id"), ("fooBar", "foo_bar"), ("class", "class_"), ("dump", "dump_"), ("list", "list_")],
)
def test_attribute_name_avoids_names_of_the_class(field: str, attribute: str) -> None:
    assert python_names.get_attribute_name(field) == attribute


@pytest.mark.parametrize(("name", "is_valid"), [("Thing", True), ("None", False), ("True", False), ("1", False)])
def test_class_name_is_an_identifier(name: str, is_valid: bool) -> None:
    assert python_names.is_valid_class_name(name) == is_valid


@pytest.mark.parametrize(
    ("name", "values", "members"),
    [
        ("Kind", ["KIND_NO", "KIND_NONE"], ["NO", "NONE"]),
        ("Kind", ["KIND_NO", "OTHER"], ["KIND_NO", "OTHER"]),
        ("Kind", ["KIND_1ST", "KIND_None"], ["_1ST", "None_"]),
        ("HTTPKind", ["HTTP_KIND_A"], ["A"]),
    ],
)
def test_members_have_no_prefix_that_all_have(name: str, values: list[str], members: list[str]) -> None:
    enum = EnumDescriptorProto(name=name)
    for value in values:
        enum.value.add(name=value)
    assert python_names.list_member_names(enum) == members


def test_taken_methods_are_those_of_servicers_and_stubs() -> None:
    public = {
        name for cls in (Servicer, Stub) for name in {*dir(cls), *cls.__annotations__} if not name.startswith("_")
    }
    assert public == python_names.TAKEN_METHODS
