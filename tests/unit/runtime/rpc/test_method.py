"""Method tables that are generated from the contract."""

from typing import Any

import pytest

from generated.proto.delivery.notifications.v1 import rpc as notifications
from generated.proto.delivery.orders.v1 import rpc as orders
from generated.proto.delivery.partners.v1 import rpc as partners
from services.runtime.rpc.method import Idempotency, Method
from services.runtime.rpc.servicer import Servicer

SERVICERS: tuple[type[Servicer], ...] = (
    orders.OrdersServicer,
    partners.PartnersServicer,
    notifications.NotificationsServicer,
)
METHODS = [method for servicer in SERVICERS for method in servicer.METHODS]


def test_path_is_that_of_the_http2_request() -> None:
    assert partners.LIST_CATALOG.path == "/delivery.partners.v1.PartnersService/ListCatalog"


def test_paths_are_unique() -> None:
    assert len({method.path for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_only_idempotent_methods_are_retried(method: Method[Any, Any]) -> None:
    """A retry of another method would repeat its effect, such as a second refund."""
    if method.idempotency is Idempotency.IDEMPOTENCY_UNKNOWN:
        assert method.max_attempts == 1
    assert method.max_attempts >= 1


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_only_streams_have_no_timeout(method: Method[Any, Any]) -> None:
    if method.server_streaming:
        assert method.max_attempts == 1, "a retried stream would repeat its first messages"
    else:
        assert method.timeout_s is not None
        assert method.timeout_s > 0


@pytest.mark.parametrize("servicer", SERVICERS, ids=lambda servicer: servicer.__name__)
def test_methods_belong_to_their_servicer(servicer: type[Servicer]) -> None:
    assert {method.service for method in servicer.METHODS} == {servicer.SERVICE}
    assert all(callable(getattr(servicer, method.attribute)) for method in servicer.METHODS)
