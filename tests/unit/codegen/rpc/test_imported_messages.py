"""Imports of message classes without collisions."""

from codegen.rpc.imported_messages import ImportedMessages


def test_class_without_collision_has_its_own_name() -> None:
    messages = ImportedMessages(["a.v1.Thing", "a.v1.HTTPStatus", "b.v1.Other"], ["Method"])
    assert messages == {"a.v1.Thing": "Thing", "a.v1.HTTPStatus": "HttpStatus", "b.v1.Other": "Other"}
    assert messages.render_imports() == (
        "from generated.proto.a.v1 import HttpStatus, Thing\nfrom generated.proto.b.v1 import Other"
    )


def test_name_of_the_module_or_another_package_is_avoided() -> None:
    messages = ImportedMessages(["a.v1.Method", "a.v1.Thing", "b.v1.Thing"], ["Method"])
    assert messages["a.v1.Method"] == "a_v1_Method"
    assert messages.render_imports() == (
        "from generated.proto.a.v1 import Method as a_v1_Method, Thing as a_v1_Thing\n"
        "from generated.proto.b.v1 import Thing as b_v1_Thing"
    )
