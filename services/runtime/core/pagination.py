"""Keyset pagination. A page token is the opaque key of the last row; it only marks a position.

Clients receive signed tokens: a token that this service did not make for the same list is rejected without decoding.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
"""Maximum number of items in a page."""

SIGNATURE_BYTES = 15
"""Bytes of a signature. 120 bits cannot be guessed, and are 20 characters of base64 without padding."""

_SIGNATURE_LENGTH = SIGNATURE_BYTES * 4 // 3


class PageTokenSigner:
    """Signer of page tokens: the first of the service's encryption keys signs, all of them verify.

    The signing keys are derived, so that no key has two purposes.
    """

    def __init__(self, encryption_keys: Sequence[str]) -> None:
        self._keys = [hmac.digest(key.encode(), b"page tokens", "sha256") for key in encryption_keys]

    def sign(self, listing: str, token: str) -> str:
        """Return the token with its signature for a list, which is named by its RPC method or operation."""
        return _compute_signature(self._keys[0], listing, token) + token

    def verify(self, listing: str, signed_token: str) -> str:
        """Return the token without its signature; the empty token of the first page is not signed.

        Raises ApiError: INVALID_REQUEST for a token that was not signed for this list.
        """
        if not signed_token:
            return ""
        signature, token = signed_token[:_SIGNATURE_LENGTH], signed_token[_SIGNATURE_LENGTH:]
        signatures = (_compute_signature(key, listing, token) for key in self._keys)
        if not any(hmac.compare_digest(signature.encode(), expected.encode()) for expected in signatures):
            raise _create_token_error()
        return token


def _compute_signature(key: bytes, listing: str, token: str) -> str:
    digest = hmac.digest(key, f"{listing}\n{token}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:SIGNATURE_BYTES]).decode()


def _create_token_error() -> ApiError:
    return ApiError(Reason.INVALID_REQUEST, errors=[FieldError("page_token", "is not a valid page token")])


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
        raise _create_token_error() from error
