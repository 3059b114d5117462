"""ETags of versions, and what If-Match says of them (RFC 9110, 13.1.1)."""

import re

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

_ETAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ETAG_LIST = re.compile(rf"[ \t,]*{_ETAG}(?:[ \t]*,[ \t]*(?:{_ETAG})?)*[ \t]*")
_VERSION_ETAG = re.compile(r'"(0|[1-9][0-9]{0,18})"')


def format_etag(version: int) -> str:
    """The strong ETag of a resource's version."""
    return f'"{version}"'


def parse_if_match(if_match: str | None) -> frozenset[str] | None:
    """The strong tags of which the resource must have one; None when any state is right.

    Weak tags never match and are left out. Refuses INVALID_REQUEST for what is no list of tags.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if _ETAG_LIST.fullmatch(if_match) is None:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("If-Match", "is no list of ETags")])
    return frozenset(tag for tag in re.findall(_ETAG, if_match) if not tag.startswith("W/"))


def check_if_match(if_match: str | None, current_etag: str) -> None:
    """Refuses PRECONDITION_FAILED when a resource with this ETag is not in a state that is asked for."""
    tags = parse_if_match(if_match)
    if tags is not None and current_etag not in tags:
        raise ApiError(Reason.PRECONDITION_FAILED)


def parse_if_match_version(if_match: str | None) -> int | None:
    """The version that a resource must have, for whoever owns it to compare; None when any is right.

    Refuses PRECONDITION_FAILED for a tag that no version has, and INVALID_REQUEST for several.
    """
    tags = parse_if_match(if_match)
    if tags is None:
        return None
    if len(tags) > 1:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("If-Match", "names several states; name one")])
    found = _VERSION_ETAG.fullmatch(next(iter(tags), ""))
    if found is None:
        raise ApiError(Reason.PRECONDITION_FAILED)
    return int(found[1])
