"""Optional fields of generated models: a field without a default is UNSET if absent, and no other field is."""

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

UNSET, UNSET_TYPE = "UNSET", "UnsetType"


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def normalise_optional_fields(text: str, patch_classes: Collection[str]) -> str:
    """Correct the types and defaults of optional fields in the source of models.

    The generator adds UnsetType to fields with a default, although they are never unset. The fields of merge patches
    have no default, also if their type has one.
    """
    lines = text.encode().splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    source = text.encode()
    for edit in sorted(_list_edits(text, offsets, patch_classes), reverse=True):
        source = source[: edit.start] + edit.text.encode() + source[edit.end :]
    return source.decode()


def _list_edits(text: str, offsets: list[int], patch_classes: Collection[str]) -> Iterator[_Edit]:
    for node in ast.parse(text).body:
        for field in node.body if isinstance(node, ast.ClassDef) else ():
            if not isinstance(field, ast.AnnAssign) or field.value is None or _is_unset(field.value):
                continue
            if isinstance(node, ast.ClassDef) and node.name in patch_classes:
                start, end = _get_range(field.value, offsets)
                yield _Edit(start, end, _render_unset(field.value))
            elif isinstance(field.annotation, ast.BinOp) and _is_name(field.annotation.right, UNSET_TYPE):
                # The range of the annotation excludes its parentheses, so only the operator and its operand go.
                _, start = _get_range(field.annotation.left, offsets)
                _, end = _get_range(field.annotation, offsets)
                yield _Edit(start, end, "")


def _get_range(node: ast.expr, offsets: list[int]) -> tuple[int, int]:
    """Return start and end of a node in the bytes of the source."""
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return offsets[node.lineno - 1] + node.col_offset, offsets[end_line - 1] + end_column


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_unset(value: ast.expr) -> bool:
    """Return whether a default is UNSET, also in a call of `field`."""
    if isinstance(value, ast.Call):
        return any(each.arg == "default" and _is_name(each.value, UNSET) for each in value.keywords)
    return _is_name(value, UNSET)


def _render_unset(value: ast.expr) -> str:
    """Render the default UNSET; the name of the property in JSON stays."""
    names = [each for each in value.keywords if each.arg == "name"] if isinstance(value, ast.Call) else []
    if not names or not isinstance(value, ast.Call):
        return UNSET
    return f"{ast.unparse(value.func)}(name={ast.unparse(names[0].value)}, default={UNSET})"
