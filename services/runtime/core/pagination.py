"""Keyset paging: a page token is the last row's key, opaque, and worth no more than a place to go on from."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
"""Items of a page."""


class Page[Item](NamedTuple):
    """Some items, and the token of the next page when there is one."""

    items: Sequence[Item]
    next_page_token: str | None


def build_page[Item](rows: Sequence[Item], page_size: int, key: Callable[[Item], Sequence[str | int]]) -> Page[Item]:
    """A page of `size`, out of rows that were asked for one more than that."""
    if len(rows) <= page_size:
        return Page(rows, None)
    return Page(rows[:page_size], encode_page_token(key(rows[page_size - 1])))


def encode_page_token(key: Sequence[str | int]) -> str:
    """A key as a token of [A-Za-z0-9_-]."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_page_token[Key](token: str, key_type: type[Key]) -> Key | None:
    """The key in a token; None for an empty one. Refuses INVALID_REQUEST for one that we did not make."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=key_type)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        message = "is none of ours"
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("page_token", message)]) from error
