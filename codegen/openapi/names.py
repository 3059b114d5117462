"""Python names of schemas, operations, tags and parameters, and the check that they are valid and unique."""

import keyword
import re
from collections.abc import Iterable
from pathlib import Path

from codegen.errors import ContractErrors
from codegen.naming import to_package_name, to_pascal_case, to_snake_case
from codegen.openapi.findings import Findings, Pointer

RESERVED_CLASS_NAMES = frozenset(
    {
        *("Annotated", "Any", "Decimal", "Enum", "IntEnum", "Literal", "StrEnum", "UUID"),
        *("Meta", "Struct", "UnsetType"),
        *("Convert", "Models", "Pages", "Requests", "Require", "Unset", "Wire"),
        *("False", "None", "True"),
    }
)
"""Names that generated modules use. The class of a schema with such a name has the suffix `Model`."""

RESERVED_SUFFIXES = ("Handler", "Stub")
"""Suffixes of generated classes that are no models."""

FORWARDING_PREFIX = "Forwarding"
"""Prefix of the classes of handlers that forward operations."""

RESERVED_METHOD_NAMES = frozenset({*keyword.kwlist, "bool", "date", "datetime", "dict", "float", "int", "list", "str"})
"""Names that a method must not have: keywords, and the types in the annotations of the other methods."""

RESERVED_FUNCTION_NAMES = frozenset(
    {
        *("arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default"),
        *("delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if"),
        *("implements", "import", "in", "instanceof", "interface", "let", "new", "null", "package", "private"),
        *("protected", "public", "return", "static", "super", "switch", "this", "throw", "true", "try", "typeof"),
        *("var", "void", "while", "with", "yield"),
        *("components", "formatQuery", "paths", "watch"),
    }
)
"""Names that a function of the TypeScript client must not have: keywords, and the imports of its module."""

CONTEXT_ARGUMENTS = frozenset({"body", "forwarded_for", "principal", "self", "webhook"})
"""Arguments of handlers that are no parameters."""

OPERATION_ID_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def get_class_name(schema: str) -> str:
    """Return the class of a schema: Loan stays, loan-item becomes LoanItem, and Meta becomes MetaModel."""
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", schema))
    return f"{name}Model" if name in RESERVED_CLASS_NAMES else name


def get_method_name(operation_id: str) -> str:
    """Return the method of an operation: listLoans becomes list_loans, and import becomes import_."""
    name = to_snake_case(operation_id)
    return f"{name}_" if name in RESERVED_METHOD_NAMES else name


def get_argument_name(parameter: str) -> str:
    """Return the argument of a parameter: If-None-Match becomes if_none_match, $filter filter, and from from_.

    services/runtime/rest/parameters.py has the same rule.
    """
    name = to_snake_case(parameter).strip("_")
    return f"{name}_" if keyword.iskeyword(name) else name


def get_handler_class_name(tag: str) -> str:
    """Return the class of a tag: reader-cards becomes ReaderCardsHandler."""
    return f"{to_pascal_case(tag)}Handler"


def get_function_name(operation_id: str) -> str:
    """Return the TypeScript function of an operation: listLoans stays, and delete becomes delete_."""
    first, *parts = re.split(r"[.-]+", operation_id)
    name = first + "".join(part[:1].upper() + part[1:] for part in parts)
    return f"{name}_" if name in RESERVED_FUNCTION_NAMES else name


def check_file_names(paths: Iterable[Path], errors: ContractErrors) -> None:
    """Add an error for each file whose models have no package of their own."""
    seen: dict[str, Path] = {}
    for path in paths:
        name = to_package_name(path.stem)
        if not name.isidentifier() or keyword.iskeyword(name):
            problem = f"the name {name} of its models is no package of Python"
            errors.add(f"{path.parent.parent.name}/{path.parent.name}/{path.name}: {problem}; rename the file")
        elif (other := seen.setdefault(name, path)) is not path:
            problem = f"the package {name} of its models collides with that of {other.name}"
            errors.add(f"{path.parent.parent.name}/{path.parent.name}/{path.name}: {problem}; rename one of them")


def check_schema_names(findings: Findings, names: Iterable[str]) -> None:
    """Check that each schema has a class of its own, also where case is not significant."""
    seen: dict[str, str] = {}
    for name in names:
        pointer: Pointer = ("components", "schemas", name)
        class_name = get_class_name(name)
        if not class_name.isidentifier():
            findings.add(pointer, f"the name {name} is no class name", "begin it with A-Z or a-z")
        elif class_name.endswith(RESERVED_SUFFIXES):
            suffixes = " and ".join(RESERVED_SUFFIXES)
            findings.add(pointer, f"the suffixes {suffixes} are those of generated classes", "rename the schema")
        elif (other := seen.setdefault(class_name.lower(), name)) != name:
            findings.add(
                pointer, f"the class {class_name} collides with the one of schema {other}", "rename one of them"
            )


def check_operation_names(findings: Findings, operations: Iterable[tuple[Pointer, str]]) -> None:
    """Check that each operation has a valid operationId and a method of its own."""
    seen: dict[str, str] = {}
    for pointer, name in operations:
        method, at = get_method_name(name), (*pointer, "operationId")
        if not OPERATION_ID_PATTERN.fullmatch(name):
            remedy = "begin it with a-z, and use a-z, A-Z, 0-9, `_`, `-` and `.`"
            findings.add(at, f"the operationId {name} is no name of a method", remedy)
        elif method in seen:
            problem = (
                "the operationId occurs twice"
                if seen[method] == name
                else (f"the method {method} collides with the one of operation {seen[method]}")
            )
            findings.add(at, problem, "rename one of them")
        seen.setdefault(method, name)


def check_tag_names(findings: Findings, tags: Iterable[str]) -> None:
    """Check that each tag has a class of its own."""
    listed = list(tags)
    seen: dict[str, str] = {}
    forwarding = {f"{FORWARDING_PREFIX}{get_handler_class_name(tag)}": tag for tag in listed}
    for index, tag in enumerate(listed):
        class_name, pointer = get_handler_class_name(tag), ("tags", index)
        if not class_name.isidentifier():
            findings.add(pointer, f"the tag {tag} is no class name", "begin it with A-Z or a-z")
        elif class_name in seen:
            problem = f"the class {class_name} of the tag {tag} collides with the one of the tag {seen[class_name]}"
            findings.add(pointer, problem, "rename one of them")
        elif class_name in forwarding:
            problem = f"the class {class_name} of the tag {tag} collides with one of the tag {forwarding[class_name]}"
            findings.add(pointer, problem, "rename one of them")
        seen.setdefault(class_name, tag)


def check_argument_names(
    findings: Findings, operation: Pointer, parameters: Iterable[tuple[Pointer, str, str]]
) -> None:
    """Check that each parameter, given with its location, has an argument of its own."""
    seen: dict[str, str] = {}
    for pointer, name, location in parameters:
        argument, parameter = get_argument_name(name), f"the {location} parameter {name}"
        if not argument.isidentifier():
            findings.add(pointer, f"{parameter} has no Python name", "begin it with A-Z or a-z")
        elif argument in CONTEXT_ARGUMENTS:
            findings.add(pointer, f"{parameter} collides with the argument {argument} of the handler", "rename it")
        elif argument in seen:
            findings.add(operation, f"{parameter} collides with {seen[argument]}", "rename one of them")
        seen.setdefault(argument, parameter)
