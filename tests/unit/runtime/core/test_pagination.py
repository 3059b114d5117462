"""Page tokens: ours come back as the key they were made of, all others are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.core import pagination
from services.runtime.core.errors import ApiError


@given(key=st.tuples(st.text(max_size=30), st.integers(-(2**63), 2**63 - 1)))
def test_a_token_is_its_key_again(key: tuple[str, int]) -> None:
    assert pagination.decode_page_token(pagination.encode_page_token(key), tuple[str, int]) == key


@given(token=st.text(alphabet="ABCabc019-_", min_size=1, max_size=40))
def test_a_token_that_is_none_of_ours_is_refused_or_reads_as_a_key(token: str) -> None:
    try:
        key = pagination.decode_page_token(token, tuple[int])
    except ApiError as refused:
        key = refused.reason
    assert key is Reason.INVALID_REQUEST or isinstance(key, tuple)


def test_no_token_is_the_first_page() -> None:
    assert pagination.decode_page_token("", tuple[int]) is None


@pytest.mark.parametrize(("rows", "more"), [(0, False), (3, False), (4, True)])
def test_a_page_says_whether_there_is_more(rows: int, more: bool) -> None:
    page = pagination.build_page(list(range(rows)), 3, lambda row: (row,))
    assert len(page.items) == min(rows, 3)
    assert (page.next_page_token is not None) == more
