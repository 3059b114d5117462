"""Orders in which the catalog is listed, and positions in them."""

from enum import StrEnum
from typing import NamedTuple


class CatalogSort(StrEnum):
    """Order of the partners."""

    ID = "id"
    ALPHABETICAL = "alphabetical"


class ProductSort(StrEnum):
    """Order of the products of a partner."""

    ID = "id"
    ALPHABETICAL = "alphabetical"
    PRICE = "price"
    PRICE_DESCENDING = "price_descending"


class Position(NamedTuple):
    """Position of a row in a list: the value by which the list is ordered, and the id, which makes it unique."""

    key: str | int
    id: int


class CatalogFilter(NamedTuple):
    """Filter of the catalog; None does not restrict. `q` is contained in the title of a product."""

    partner_id: int | None = None
    q: str | None = None
    category: str | None = None
