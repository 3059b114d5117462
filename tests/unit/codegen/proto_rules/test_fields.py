"""Fields and methods for which no correct code can be generated: the exact error with file and line."""

from pathlib import Path

import pytest

from tests.unit.codegen.proto_rules.proto_files import METHOD_OPTION, find_errors, render_file


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            "message A { delivery.options.v1.Caller a = 1; }",
            [":12: a.v1.A.a has the type delivery.options.v1.Caller, "],
        ),
        (
            "message A { google.protobuf.FieldOptions a = 1; }",
            [":12: a.v1.A.a has the type google.protobuf.FieldOptions, which is not supported; use a type of "],
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
    ],
)
def test_violation_has_error_with_line(tmp_path: Path, body: str, errors: list[str]) -> None:
    found = find_errors(tmp_path, render_file("a.v1", body))
    assert len(found) == len(errors)
    for message, start in zip(found, errors, strict=True):
        assert message.startswith(start)


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
