"""Files for which no correct code can be generated: the exact error with file and line."""

from pathlib import Path

import pytest

from codegen.errors import ContractErrors
from codegen.proto_rules.rules import check_files
from codegen.proto_rules.subjects import check_subjects
from codegen.protobuf import parse_image
from tests.unit.codegen.proto_rules.proto_files import METHOD_OPTION, compile_files, load_descriptors, render_file

EVENT = 'option (delivery.options.v1.event) = {type: "a.b" producer: CALLER_ORDERS subject: "%s"};'


def find_errors(folder: Path, text: str) -> list[str]:
    image = compile_files(folder, {"a.proto": text})
    descriptors, pool = load_descriptors(image)
    errors = ContractErrors()
    with errors.collect():
        check_files(descriptors, pool)
    with errors.collect():
        check_subjects(parse_image(image).events, pool)
    return [message.removeprefix("api-specs/proto/a.proto") for message in errors.messages]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            "message HTTPStatus {}\nmessage HttpStatus {}",
            [":13: a.v1.HTTPStatus and a.v1.HttpStatus have the same class name HttpStatus; rename one"],
        ),
        (
            "message Outer { enum Kind { X = 0; } }\nmessage OuterKind {}",
            [":12: a.v1.OuterKind and a.v1.Outer.Kind have the same class name OuterKind; rename one"],
        ),
        ("message None {}", [":12: a.v1.None has the invalid class name 'None'; rename it"]),
        (
            "message A { float HasField = 1; }",
            [":12: a.v1.A.HasField is a method of protobuf's messages; rename the field"],
        ),
        (
            "enum Kind {\n  mro = 0;\n  name = 1;\n}",
            [
                ":13: a.v1.Kind.mro cannot be a member mro of a Python enum; rename the value",
                ":14: a.v1.Kind.name cannot be a member name of a Python enum; rename the value",
            ],
        ),
        (
            "message A { delivery.options.v1.Caller a = 1; }",
            [":12: a.v1.A.a has the type delivery.options.v1.Caller, "],
        ),
        (
            "message A { google.protobuf.FieldOptions a = 1; }",
            [":12: a.v1.A.a has the type google.protobuf.FieldOptions, which is not supported; use a type of "],
        ),
        (
            "message R {}\nservice S { rpc CallUnary(R) returns (R) %s }" % METHOD_OPTION,  # noqa: UP031
            [":13: a.v1.S.CallUnary: the attribute call_unary is a part of all servicers or stubs; rename the method"],
        ),
        (
            "message R { message I {} }\nservice S { rpc Get(R.I) returns (R) %s }" % METHOD_OPTION,  # noqa: UP031
            [":13: a.v1.S.Get: a.v1.R.I is nested, so it is no request or response; declare it outside of messages"],
        ),
        (
            "message R { string page_size = 1; }\nservice S { rpc Get(R) returns (R) %s }" % METHOD_OPTION,  # noqa: UP031
            [":13: a.v1.S.Get: page_size, which servicers limit, is not an int32 without presence; change its type"],
        ),
        (
            "message R { string page_token = 1; }\nservice S { rpc Get(R) returns (R) %s }" % METHOD_OPTION,  # noqa: UP031
            [":13: a.v1.S.Get: the request has a page_token; add `optional string next_page_token` to a.v1.R"],
        ),
        (
            "message R {}\nservice Pay {}\nservice PayService {}",
            [":14: a.v1: Pay and PayService have the same Python name PayServicer; rename one"],
        ),
        (
            "message E {\n  %s\n  string order_id = 1;\n}" % (EVENT % "oder_id"),
            [":12: a.v1.E: the subject 'oder_id' is no field: a.v1.E has no 'oder_id' but order_id; correct "],
        ),
        (
            "message E {\n  %s\n  optional string id = 1;\n}" % (EVENT % "id"),
            [":12: a.v1.E: the subject 'id' is not a string that always has a value; change the option, or the type "],
        ),
        (
            "message E {\n  %s\n  string id = 1;\n}" % (EVENT % "id.x"),
            [":12: a.v1.E: the subject 'id.x' is no path of fields: a.v1.E has no single message 'id'; correct "],
        ),
    ],
)
def test_violation_has_error_with_line(tmp_path: Path, body: str, errors: list[str]) -> None:
    found = find_errors(tmp_path, render_file("a.v1", body))
    assert len(found) == len(errors)
    for message, start in zip(found, errors, strict=True):
        assert message.startswith(start)


@pytest.mark.parametrize(
    ("package", "error"),
    [
        ("a.import.v1", ":2: package a.import.v1: import is a keyword of Python; rename the package"),
        ("a.v1.rpc", ":2: package a.v1.rpc: rpc is the name of a generated module; rename the package"),
    ],
)
def test_package_without_python_name_has_error(tmp_path: Path, package: str, error: str) -> None:
    assert find_errors(tmp_path, render_file(package, "message A {}")) == [error]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("message A { required int32 a = 1; }", "a.v1.A.a is required, which the classes do not check; make it "),
        ("message A { optional int32 a = 1 [default = 3]; }", "a.v1.A.a has a default value, which the classes do "),
        ("message A { optional group G = 1 {} }", "a.v1.A.g is a group, for which no class is generated; use a "),
        (
            "message A { optional string fooBar = 1 [json_name = 'a']; optional string foo_bar = 2; }",
            "a.v1.A: the fields fooBar and foo_bar have the same attribute name foo_bar; rename one",
        ),
        (
            "message A { optional string from = 1; optional string from_ = 2 [json_name = 'a']; }",
            "a.v1.A: the fields from and from_ have the same attribute name from_; rename one",
        ),
        ("message A { extensions 5 to 9; }", "a.v1.A: extensions are not supported; delete the range"),
    ],
)
def test_file_of_proto2_without_code_has_error(tmp_path: Path, body: str, error: str) -> None:
    (found,) = find_errors(tmp_path, render_file("a.v1", body, 'syntax = "proto2"'))
    assert found.startswith(f":12: {error}")


def test_all_errors_of_file_are_reported(tmp_path: Path) -> None:
    body = "message None {}\nenum True { X = 0; }\nmessage A { delivery.options.v1.Caller a = 1; }"
    assert len(find_errors(tmp_path, render_file("a.v1", body))) == 3
