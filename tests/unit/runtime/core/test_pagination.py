import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.core import pagination
from services.runtime.core.errors import ApiError


@given(key=st.tuples(st.text(max_size=30), st.integers(-(2**63), 2**63 - 1)))
def test_page_token_round_trip(key: tuple[str, int]) -> None:
    assert pagination.decode_page_token(pagination.encode_page_token(key), tuple[str, int]) == key


@given(token=st.text(alphabet="ABCabc019-_", min_size=1, max_size=40))
def test_arbitrary_page_token_is_rejected_or_decoded(token: str) -> None:
    try:
        result = pagination.decode_page_token(token, tuple[int])
    except ApiError as error:
        result = error.reason
    assert result is Reason.INVALID_REQUEST or isinstance(result, tuple)


def test_empty_page_token_is_first_page() -> None:
    assert pagination.decode_page_token("", tuple[int]) is None


@pytest.mark.parametrize(("rows", "has_next_page"), [(0, False), (3, False), (4, True)])
def test_page_has_next_token_only_with_more_rows(rows: int, has_next_page: bool) -> None:
    page = pagination.build_page(list(range(rows)), 3, lambda row: (row,))
    assert len(page.items) == min(rows, 3)
    assert (page.next_page_token is not None) == has_next_page


@given(token=st.text(alphabet="ABCabc019-_", min_size=1), listing=st.text(max_size=20))
def test_signed_page_token_is_verified_with_all_keys(token: str, listing: str) -> None:
    signed = pagination.PageTokenSigner(["old"]).sign(listing, token)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", signed)
    for keys in (["new", "old"], ["old", "new"]):
        assert pagination.PageTokenSigner(keys).verify(listing, signed) == token


@given(index=st.integers(0, 39), character=st.sampled_from("AZaz09-_"))
def test_changed_page_token_is_rejected(index: int, character: str) -> None:
    signer = pagination.PageTokenSigner(["key"])
    signed = signer.sign("listOrders", "x" * 20)
    changed = signed[:index] + character + signed[index + 1 :]
    if changed != signed:
        with pytest.raises(ApiError) as raised:
            signer.verify("listOrders", changed)
        assert raised.value.reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize("token", ["x", "é" * 40, "x" * 20])
def test_unsigned_page_token_is_rejected(token: str) -> None:
    with pytest.raises(ApiError):
        pagination.PageTokenSigner(["key"]).verify("listOrders", token)


def test_first_page_needs_no_signature() -> None:
    assert pagination.PageTokenSigner(["key"]).verify("listOrders", "") == ""
