"""Keyset pagination. A page token is the opaque key of the last row; it only marks a position."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
"""Maximum number of items in a page."""


class Page[Item](NamedTuple):
    """Items and the token of the next page, or None on the last page."""

    items: Sequence[Item]
    next_page_token: str | None


def build_page[Item](rows: Sequence[Item], page_size: int, key: Callable[[Item], Sequence[str | int]]) -> Page[Item]:
    """Return a page of at most `page_size` items; `rows` were queried with a limit of `page_size + 1`."""
    if len(rows) <= page_size:
        return Page(rows, None)
    return Page(rows[:page_size], encode_page_token(key(rows[page_size - 1])))


def encode_page_token(key: Sequence[str | int]) -> str:
    """Encode a key as a token of [A-Za-z0-9_-]."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_page_token[Key](token: str, key_type: type[Key]) -> Key | None:
    """Decode a token to its key; an empty token is the first page and decodes to None.

    Raises ApiError: INVALID_REQUEST.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=key_type)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        message = "is not a valid page token"
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("page_token", message)]) from error
