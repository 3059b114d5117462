"""JSON pointers for the fields of errors."""

import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.rpc.field_pointers import resolve_pointers

POINTERS = {"ttl_s": "/preferences/ttl_s", "lines[].product_id": "/items/{}/product_id"}


@pytest.mark.parametrize(
    ("field", "location"),
    [
        ("ttl_s", "/preferences/ttl_s"),
        ("lines[12].product_id", "/items/12/product_id"),
        ("page_token", "page_token"),
        ("/preferences/ttl_s", "/preferences/ttl_s"),
    ],
)
def test_field_with_pointer_is_located_and_others_are_unchanged(field: str, location: str) -> None:
    error = ApiError(Reason.INVALID_REQUEST, "a detail", errors=[FieldError(field, "is invalid")], retry_after=1)
    resolved = resolve_pointers(error, POINTERS)
    assert list(resolved.errors) == [FieldError(location, "is invalid")]
    assert (resolved.reason, resolved.detail, resolved.retry_after) == (error.reason, error.detail, 1)
