"""Subjects of events that are no string fields: the exact error with file and line."""

from pathlib import Path

import pytest

from tests.unit.codegen.proto_rules.proto_files import find_errors, render_file

EVENT = 'option (delivery.options.v1.event) = {type: "a.b" producer: CALLER_ORDERS subject: "%s"};'


@pytest.mark.parametrize(
    ("body", "errors"),
    [
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
