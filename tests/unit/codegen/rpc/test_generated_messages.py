"""Generated classes of every kind of message: they are imported, and the codec converts them without loss."""

import importlib
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from betterproto2_compiler.lib.google.protobuf.compiler import CodeGeneratorRequest
from betterproto2_compiler.plugin import compiler
from betterproto2_compiler.plugin.parser import generate_code
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegen import tool_cache
from codegen.errors import ContractError
from codegen.proto_rules.rules import check_files
from codegen.rpc import messages
from services.runtime.rpc.codec import Codec
from tests.unit.codegen.proto_rules.proto_files import compile_files, load_descriptors, render_file

SCALARS = (
    *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
    *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
)
WELL_KNOWN = (
    *("Any", "Duration", "Empty", "FieldMask", "ListValue", "Struct", "Timestamp", "Value"),
    *("BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value"),
    *("StringValue", "UInt32Value", "UInt64Value"),
)
TAKEN_NAMES = (
    *("class", "from", "async", "import", "None", "self", "request", "timeout", "wire", "message", "values", "cls"),
    *("bool", "bytes", "dict", "float", "int", "list", "str", "datetime", "builtins", "betterproto2", "dump", "parse"),
)


def render_fields(types: Any, prefix: str = "") -> str:
    return "".join(f"  {prefix}{kind} f{number} = {number};\n" for number, kind in enumerate(types, 1))


BODIES = {
    "scalars": "".join(
        f"message {name} {{\n{render_fields(SCALARS, prefix)}}}\n"
        for name, prefix in (("A", ""), ("B", "optional "), ("C", "repeated "))
    ),
    "well_known": "".join(
        f"message {name} {{\n{render_fields([f'google.protobuf.{kind}' for kind in WELL_KNOWN], prefix)}}}\n"
        for name, prefix in (("A", ""), ("B", "repeated "))
    )
    + "message C {\n"
    + render_fields([f"map<string, google.protobuf.{kind}>" for kind in WELL_KNOWN])
    + "}\n",
    "maps": "message V { V v = 1; }\nenum E { E_X = 0; E_Y = 5; }\nmessage A {\n"
    + render_fields(
        [f"map<{key}, {value}>" for key in ("int32", "sint64", "bool", "string") for value in ("bytes", "V", "E")]
    )
    + "}\n",
    "recursive": "message A { repeated A children = 1; oneof kind { B b = 2; string text = 3; A a = 4; } }\n"
    "message B { map<string, A> parents = 1; optional A a = 2; message Inner { B outer = 1; } Inner inner = 3; }",
    "enums": "enum Emote { EMOTE_UNSPECIFIED = 0; EMOTE_NONE = 1; EMOTE_CLASS = 2; EMOTE_1ST = 3; EMOTE_MINUS = -1; }\n"
    "enum Level { option allow_alias = true; LEVEL_NO = 0; LEVEL_LOW = 1; LEVEL_SMALL = 1; }\n"
    "message A { Emote a = 1; optional Level b = 2; repeated Emote c = 3; oneof d { Level e = 4; } }",
    "names": "message List { string id = 1; }\nmessage Message { List list = 1; }\nmessage Enum {}\n"
    "message Timestamp {}\n"
    "message Optional { Message a = 1; Enum b = 2; Timestamp c = 3; google.protobuf.Timestamp d = 4; }\n"
    "message HTTPStatus { string fooBar = 1; string foo2bar = 2; string URL = 3; string x_1 = 4; }",
    "taken_names": "message A {\n" + "".join(f"  string {n} = {i};\n" for i, n in enumerate(TAKEN_NAMES, 1)) + "}\n"
    "message B {\n"
    + "".join(f"  repeated int32 {n} = {i};\n" for i, n in enumerate(TAKEN_NAMES, 1))
    + "}\nmessage C { map<string, int32> list = 1; google.protobuf.Timestamp datetime = 2; optional int32 int = 3; }",
    "comments": '// Ends with "quotes"\n//\n// C:\\new \\N{BULLET} """x""" größe 🍕 */ {% raw %} {{ x }}\nmessage A {\n'
    '  // "\n  string a = 1; // """\n  // One of """them""" \\\n  oneof b { /* \\" */ string c = 2; }\n}',
    "options": "message A { reserved 7 to 9; string a = 1; string b_c = 2 [json_name = 'bee'];\n"
    "  repeated int32 d = 3 [packed = false]; int64 e = 4 [jstype = JS_STRING]; }",
}
OTHER_SYNTAX = {
    "edition": ('edition = "2023"', "enum E { X = 0; } message A { int32 n = 1; string s = 2; E e = 3; A a = 4; }"),
    "proto2": ('syntax = "proto2"', "enum E { X = 3; } message A { optional int32 n = 1; optional E e = 2; }"),
}


def import_classes(folder: Path, image: bytes) -> tuple[DescriptorPool, Codec, dict[str, type]]:
    """Generate the classes of an image in an empty folder, and return them by the full names of their messages."""
    descriptors, pool = load_descriptors(image)
    check_files(descriptors, pool)
    for file in messages.compile_messages(descriptors).file:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
    sys.path.insert(0, str(folder.parent))
    importlib.invalidate_caches()
    try:
        for file in messages.compile_messages(descriptors).file:
            if file.name.endswith("/__init__.py"):
                importlib.import_module(f"{folder.name}.{file.name.removesuffix('/__init__.py').replace('/', '.')}")
        classes = importlib.import_module(f"{folder.name}.message_pool").default_message_pool
    finally:
        sys.path.remove(str(folder.parent))
    return pool, Codec(pool, classes), {url.partition("/")[2]: cls for url, cls in classes.url_to_type.items()}


def fill(message: Message, choice: random.Random, depth: int = 0) -> Message:
    """Set some fields of a message to values that are valid in every representation."""
    for field in message.DESCRIPTOR.fields:
        if choice.random() < 0.3 or (field.message_type is not None and depth > 2):
            continue
        kind: Any = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            target = getattr(message, field.name)
            key = create_value(kind.fields_by_name["key"], choice)
            value = kind.fields_by_name["value"]
            if value.message_type is None:
                target[key] = create_value(value, choice)
            else:
                fill(target[key], choice, depth + 1)
        elif kind is not None and field.is_repeated:
            fill(getattr(message, field.name).add(), choice, depth + 1)
        elif kind is not None:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), choice, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend([create_value(field, choice), create_value(field, choice)])
        else:
            setattr(message, field.name, create_value(field, choice))
    return message


def create_value(field: FieldDescriptor, choice: random.Random) -> Any:
    if field.enum_type is not None:
        return choice.choice(field.enum_type.values).number
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return choice.random() < 0.5
        case FieldDescriptor.CPPTYPE_STRING:
            return (
                choice.choice((b"", b"\0\xff"))
                if field.type == FieldDescriptor.TYPE_BYTES
                else choice.choice(("", "é"))
            )
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return choice.choice((0.0, -1.5, 2.0**20))
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return choice.choice((0, 1, 2**32 - 1))
    is_time = field.containing_type.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration")
    return 0 if is_time else choice.choice((0, 7, -(2**31)))


def check_round_trips(pool: DescriptorPool, codec: Codec, classes: dict[str, type]) -> None:
    for name in [name for name in classes if not name.startswith("google.")]:
        descriptor: Descriptor = pool.FindMessageTypeByName(name)
        for seed in range(5):
            wire = fill(GetMessageClass(descriptor)(), random.Random(seed))  # noqa: S311 (test data)
            message = codec.decode(classes[name], wire.SerializeToString())
            assert type(wire).FromString(codec.encode(message)) == wire, name
        assert type(wire).FromString(codec.encode(classes[name]())) == type(wire)(), name


def test_classes_of_every_kind_round_trip(tmp_path: Path) -> None:
    files = {f"{name}.proto": render_file(f"kinds.{name}", body) for name, body in BODIES.items()}
    files |= {
        f"{name}.proto": render_file(f"kinds.{name}", body, syntax) for name, (syntax, body) in OTHER_SYNTAX.items()
    }
    image = compile_files(tmp_path, files)
    folder = tmp_path / "generated_kinds"
    pool, codec, classes = import_classes(folder, image)
    assert {name.split(".")[1] for name in classes if name.startswith("kinds.")} == {*BODIES, *OTHER_SYNTAX}
    check_round_trips(pool, codec, classes)
    edition = classes["kinds.edition.A"]
    assert (edition().n, edition().e) == (None, None)


NAMES = st.sampled_from(["A", "B", "HTTPStatus", "HttpStatus", "None", "list_value", "x", "Timestamp", "Message", "_1"])
FIELD_NAMES = st.sampled_from([*TAKEN_NAMES, "a", "b", "fooBar", "x_1", "items", "mro", "Clear", "HasField", "_x"])
TYPES = st.sampled_from([*SCALARS, *(f"google.protobuf.{kind}" for kind in WELL_KNOWN), ".r.v1.T", ".r.v1.E"])


@st.composite
def messages_of_all_kinds(draw: st.DrawFn) -> str:
    """Return the body of a file with the types T and E and some messages."""
    text = "message T { T t = 1; string s = 2; }\nenum E { E_X = 0; E_Y = 1; }\n"
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        fields = draw(st.lists(FIELD_NAMES, max_size=6, unique_by=lambda each: each.lower().strip("_")))
        lines = []
        for number, field in enumerate(fields, 1):
            kind = draw(TYPES)
            form = draw(st.sampled_from(["{}", "optional {}", "repeated {}", "map<string, {}>", "oneof"]))
            if form == "oneof":
                lines.append(
                    f"oneof choice_{number} {{ {kind} {field} = {number}; string z{number} = {number + 100}; }}"
                )
            else:
                lines.append(f"{form.format(kind)} {field} = {number};")
        text += f"message {name} {{ {' '.join(lines)} message Nested {{ {name} outer = 1; }} }}\n"
    return text


def remove_unused_imports(_command: list[str], *, input: str, encoding: str) -> str:  # noqa: A002
    """Do what the compiler's formatter does, as far as the import of a module needs it."""
    del encoding
    return "\n".join(line for line in input.splitlines() if "grpclib" not in line or line.startswith(" ")).replace(
        "if TYPE_CHECKING:", "if typing.TYPE_CHECKING:"
    )


def run_compiler(request: bytes) -> bytes:
    return bytes(generate_code(CodeGeneratorRequest.parse(request)))


@pytest.fixture
def compiler_without_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run the compiler in the process and without its formatter, as each example would start three processes."""
    monkeypatch.setattr(compiler.subprocess, "check_output", remove_unused_imports)
    monkeypatch.setattr(messages, "_run_compiler", run_compiler)
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path / "cache")


@pytest.mark.usefixtures("compiler_without_processes")
@given(body=messages_of_all_kinds())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_files_round_trip_or_are_rejected(tmp_path_factory: pytest.TempPathFactory, body: str) -> None:
    folder = tmp_path_factory.mktemp("random")
    image = compile_files(folder, {"r.proto": render_file("r.v1", body)})
    try:
        generated = import_classes(folder / f"generated_{folder.name}", image)
    except ContractError as error:
        assert all("r.proto:" in message and "; " in message for message in error.messages)  # noqa: PT017
    else:
        check_round_trips(*generated)
