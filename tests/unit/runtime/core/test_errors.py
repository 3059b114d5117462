"""ApiError: sentence for the user and text for logs."""

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError


def test_default_detail_is_that_of_the_catalogue() -> None:
    error = ApiError(Reason.ORDER_NOT_FOUND)
    assert error.detail == PROBLEMS[Reason.ORDER_NOT_FOUND].detail["en"]
    assert str(error) == f"ORDER_NOT_FOUND: {error.detail}"


def test_default_detail_contains_values_of_members() -> None:
    error = ApiError(Reason.TOTAL_MISMATCH, members={"total_amount": 1700, "currency": "USD"})
    assert error.detail == "At the partner's current prices, the total is $17.00."


def test_own_detail_replaces_that_of_the_catalogue() -> None:
    assert ApiError(Reason.PICTURE_REFUSED, "The image is animated.").detail == "The image is animated."
