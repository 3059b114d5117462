"""Places of the elements of protobuf files."""

from pathlib import Path

from codegen.proto_rules.locations import SourceFile, iter_enums, iter_messages, list_own_files
from tests.unit.codegen.proto_rules.proto_files import compile_files, load_descriptors, render_file

BODY = """// First.
//
// Second.
message A {
  message B { enum K { X = 0; } }
  map<string, B> b = 1;
}
enum E { Y = 0; }"""


def read_file(folder: Path) -> SourceFile:
    (file,) = list_own_files(load_descriptors(compile_files(folder, {"a.proto": render_file("a.v1", BODY)}))[0])
    return file


def test_elements_have_full_names_and_lines(tmp_path: Path) -> None:
    file = read_file(tmp_path)
    places = {each.full_name: each.location for each in (*iter_messages(file), *iter_enums(file))}
    assert places == {
        name: f"api-specs/proto/a.proto:{line}"
        for name, line in (("a.v1.A", 15), ("a.v1.A.B", 16), ("a.v1.E", 19), ("a.v1.A.B.K", 16))
    }


def test_comment_has_lines_without_indentation(tmp_path: Path) -> None:
    file = read_file(tmp_path)
    (message, *_) = iter_messages(file)
    assert file.get_comment(message.path) == "First.\n\nSecond."
    assert file.get_comment((5, 0)) == ""


def test_file_without_source_information_has_no_line(tmp_path: Path) -> None:
    descriptor = read_file(tmp_path).descriptor
    descriptor.ClearField("source_code_info")
    assert SourceFile(descriptor).format_location((4, 0)) == "api-specs/proto/a.proto"
