"""RPC methods of REST operations: by name, or by `x-rpc`."""

from dataclasses import replace

import pytest

from codegen.contracts import ContractError, Contracts
from codegen.rest.rpc_methods import iter_forwarded_operations, iter_methods_of_operations
from tests.changed_contracts import find_operation, repository_contracts, with_change


def paths(source: Contracts) -> dict[str, str]:
    return {operation.id: method.path for operation, method in iter_methods_of_operations(source)}


def test_operation_belongs_to_method_of_the_same_name() -> None:
    assert paths(repository_contracts())["getOrder"] == "/delivery.orders.v1.OrdersService/GetOrder"


def test_extension_selects_method_of_another_name() -> None:
    assert paths(repository_contracts())["completeDelivery"] == "/delivery.orders.v1.OrdersService/CompleteOrder"
    changed = with_change(lambda document: find_operation(document, "completeDelivery").pop("x-rpc"))
    assert "completeDelivery" not in paths(changed)


def test_operations_without_method_are_not_forwarded() -> None:
    forwarded = {operation.id for operation, _ in iter_forwarded_operations(repository_contracts())}
    assert not forwarded & {"signIn", "getProfile", "checkOrder", "confirmOrder", "getPicture"}


def test_stream_is_not_forwarded() -> None:
    assert "watchOrder" in paths(repository_contracts())
    assert "watchOrder" not in {operation.id for operation, _ in iter_forwarded_operations(repository_contracts())}


@pytest.mark.parametrize("value", ["orders.v1.EatOrder", "partners.v1.CompleteOrder", "CompleteOrder", ""])
def test_extension_with_unknown_method_is_rejected(value: str) -> None:
    changed = with_change(lambda document: find_operation(document, "completeDelivery").update({"x-rpc": value}))
    with pytest.raises(ContractError, match="operation completeDelivery: x-rpc is not a method"):
        paths(changed)


def test_name_of_methods_of_several_services_is_rejected() -> None:
    source = repository_contracts()
    (method,) = [each for service in source.protos.services for each in service.methods if each.name == "GetOrder"]
    services = tuple(
        replace(service, methods=(*service.methods, replace(method, service=service.full_name)))
        for service in source.protos.services
        if service.full_name != method.service
    )
    originals = tuple(service for service in source.protos.services if service.full_name == method.service)
    ambiguous = replace(source, protos=replace(source.protos, services=originals + services))
    with pytest.raises(ContractError, match=r"getOrder: the operation matches .*GetOrder, .*GetOrder; add x-rpc"):
        paths(ambiguous)


def test_contracts_without_public_api_have_no_operations() -> None:
    assert paths(replace(repository_contracts(), openapi={})) == {}
