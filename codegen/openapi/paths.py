"""Rules of the paths of the served document: each request has exactly one of them."""

import re
from functools import cache
from itertools import combinations
from typing import Any

from codegen.openapi.findings import Findings, Pointer
from codegen.openapi.parameters import PATH_PATTERN, list_template_names

_WILDCARD = ""
"""Element of a segment that stands for a parameter; the other elements are characters."""

type Segment = tuple[str, ...]


def check_paths(findings: Findings, paths: dict[str, Any]) -> None:
    """Check the paths, and that no request matches two templates. Literal paths precede templates."""
    templates = [path for path in paths if not path.startswith("x-")]
    for path in templates:
        _check_path(findings, path, paths[path])
    for first, second in combinations((path for path in templates if "{" in path), 2):
        if is_ambiguous(first, second):
            problem = f"the path matches some or all requests of {first}"
            findings.add(("paths", second), problem, "rename a literal part of one of them, or merge both")


def _check_path(findings: Findings, path: str, item: dict[str, Any]) -> None:
    pointer: Pointer = ("paths", path)
    if not PATH_PATTERN.fullmatch(path) or "//" in path or "${" in path:
        remedy = "begin it with `/`, and use a-z, A-Z, 0-9, unencoded punctuation and `{names}`"
        findings.add(pointer, "the path is not supported", remedy)
    names = list_template_names(path)
    if len(names) != len(set(names)):
        findings.add(pointer, "the path repeats a parameter", "rename one of them")
    if "}{" in path:
        findings.add(pointer, "two parameters are adjacent", "separate them")
    if "servers" in item:
        findings.add((*pointer, "servers"), "`servers` of a path is not supported", "remove it")


def is_ambiguous(first: str, second: str) -> bool:
    """Return whether a path matches both templates. A parameter is one character or more, and no slash."""
    segments, others = first.split("/"), second.split("/")
    return len(segments) == len(others) and all(
        _is_common_text_possible(_parse_segment(one), _parse_segment(other))
        for one, other in zip(segments, others, strict=True)
    )


def _parse_segment(segment: str) -> Segment:
    parts = re.split(r"\{[^{}]*\}", segment)
    return tuple(element for index, part in enumerate(parts) for element in [*([_WILDCARD] if index else []), *part])


@cache
def _is_common_text_possible(first: Segment, second: Segment) -> bool:
    if not first or not second:
        return not first and not second
    if _WILDCARD not in (first[0], second[0]) and first[0] != second[0]:
        return False
    # A wildcard ends after this character, or continues.
    rests = [[each[1:], each] if each[0] == _WILDCARD else [each[1:]] for each in (first, second)]
    if first[0] == second[0] == _WILDCARD:
        # Both may continue only together with the end of one of them.
        pairs = [(first[1:], second[1:]), (first[1:], second), (first, second[1:])]
    else:
        pairs = [(one, other) for one in rests[0] for other in rests[1]]
    return any(_is_common_text_possible(one, other) for one, other in pairs)
