"""Names without a Python name of their own: the exact error with file and line."""

from pathlib import Path

import pytest

from tests.unit.codegen.proto_rules.proto_files import METHOD_OPTION, find_errors, render_file


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
            "message R {}\nservice S { rpc CallUnary(R) returns (R) %s }" % METHOD_OPTION,  # noqa: UP031
            [":13: a.v1.S.CallUnary: the attribute call_unary is a part of all servicers or stubs; rename the method"],
        ),
        (
            "message R {}\nservice Pay {}\nservice PayService {}",
            [":14: a.v1: Pay and PayService have the same Python name PayServicer; rename one"],
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


def test_all_errors_of_file_are_reported(tmp_path: Path) -> None:
    body = "message None {}\nenum True { X = 0; }\nmessage A { delivery.options.v1.Caller a = 1; }"
    assert len(find_errors(tmp_path, render_file("a.v1", body))) == 3
