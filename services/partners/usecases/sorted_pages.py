"""Page tokens of lists with several orders: a token is valid for the order of its list only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from services.partners.domain.catalog_sorting import CatalogSort, Position, ProductSort
from services.runtime.core import pagination
from services.runtime.core.pagination import Page

_TOKEN_TYPES: Mapping[str, Any] = {
    "alphabetical": tuple[Literal["alphabetical"], str, int],
    "price": tuple[Literal["price"], int, int],
    "price_descending": tuple[Literal["price_descending"], int, int],
}
"""Content of a token by order. That of the order by id is the id only, as in all other lists."""


def decode_position(token: str, sort: CatalogSort | ProductSort) -> Position | None:
    """Return the position of a page token; None for the first page.

    Raises ApiError: INVALID_REQUEST, also for a token of another order.
    """
    if sort.value == "id":
        decoded_id = pagination.decode_page_token(token, tuple[int])
        return None if decoded_id is None else Position("", decoded_id[0])
    decoded = pagination.decode_page_token(token, _TOKEN_TYPES[sort.value])
    return None if decoded is None else Position(decoded[1], decoded[2])


def build_sorted_page[Item](
    rows: Sequence[Item], size: int, sort: CatalogSort | ProductSort, get_position: Callable[[Item], Position]
) -> Page[Item]:
    """Return a page of at most `size` items; `rows` were queried with a limit of `size + 1`."""

    def build_key(item: Item) -> Sequence[str | int]:
        position = get_position(item)
        return (position.id,) if sort.value == "id" else (sort.value, position.key, position.id)

    return pagination.build_page(rows, size, build_key)
