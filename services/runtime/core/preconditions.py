"""ETags of resource versions and the If-Match precondition (RFC 9110, 13.1.1)."""

import re
from collections.abc import Collection

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

_ETAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ETAG_LIST = re.compile(rf"[ \t,]*+{_ETAG}(?:[ \t]*,[ \t,]*+{_ETAG})*[ \t,]*+")
"""List with empty elements (RFC 9110 5.6.1.2). No text has two matches, since those would be tried one by one."""
_VERSION_ETAG = re.compile(r'"(0|[1-9][0-9]{0,18})"')

MAX_VERSION = 2**63 - 1
"""Largest version that databases and RPC messages can hold."""


def format_etag(version: int) -> str:
    """Return the strong ETag of a resource version."""
    return f'"{version}"'


def parse_if_match(if_match: str | None) -> frozenset[str] | None:
    """Return the strong ETags of which the resource must have one, or None when any state matches.

    Weak ETags never match and are omitted.

    Raises ApiError: INVALID_REQUEST for a malformed header.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if _ETAG_LIST.fullmatch(if_match) is None:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("If-Match", "is not a list of ETags")])
    return frozenset(etag for etag in re.findall(_ETAG, if_match) if not etag.startswith("W/"))


def check_if_match(if_match: str | None, current_etag: str) -> None:
    """Check If-Match against the current ETag.

    Raises ApiError: PRECONDITION_FAILED when it does not match, INVALID_REQUEST for a malformed header.
    """
    etags = parse_if_match(if_match)
    if etags is not None and current_etag not in etags:
        raise ApiError(Reason.PRECONDITION_FAILED)


def parse_if_match_versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions of which the resource must have one, or None when any matches.

    Other entity tags, which no version has, are omitted.

    Raises ApiError: PRECONDITION_FAILED when no tag can match, INVALID_REQUEST for a malformed header.
    """
    etags = parse_if_match(if_match)
    if etags is None:
        return None
    numbers = (int(match[1]) for etag in etags if (match := _VERSION_ETAG.fullmatch(etag)))
    versions = frozenset(number for number in numbers if number <= MAX_VERSION)
    if not versions:
        raise ApiError(Reason.PRECONDITION_FAILED)
    return versions


def list_expected_versions(version: int | None, versions: Collection[int]) -> frozenset[int] | None:
    """Return the expected versions of an RPC request, which has one or several; None when any matches."""
    expected = frozenset(versions) | (frozenset() if version is None else {version})
    return expected or None


def check_version(expected: Collection[int] | None, current: int) -> None:
    """Check the current version against the expected ones; None matches any.

    Raises ApiError: PRECONDITION_FAILED.
    """
    if expected is not None and current not in expected:
        raise ApiError(Reason.PRECONDITION_FAILED)
