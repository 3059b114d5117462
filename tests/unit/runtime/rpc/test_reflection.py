"""Descriptors that reflection serves."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH
from grpc_reflection.v1alpha.reflection_pb2 import DESCRIPTOR as V1ALPHA

from services.runtime.rpc.contract_descriptors import load_contract_files
from services.runtime.rpc.reflection import (
    STANDARD_SERVICES,
    build_descriptor_pool,
    build_v1_file,
    collect_with_imports,
)

CONTRACT_SERVICES = [f"{file.package}.{service.name}" for file in load_contract_files() for service in file.service]


@pytest.mark.parametrize("service", [*CONTRACT_SERVICES, *STANDARD_SERVICES])
def test_every_service_can_be_described(service: str) -> None:
    descriptor = build_descriptor_pool(load_contract_files()).FindServiceByName(service)
    assert descriptor.methods
    assert all(method.input_type and method.output_type for method in descriptor.methods)


def test_contract_has_services() -> None:
    assert "delivery.orders.v1.OrdersService" in CONTRACT_SERVICES


def test_file_that_is_imported_twice_is_added_once() -> None:
    files = collect_with_imports(HEALTH)
    pool = build_descriptor_pool([*files, *files])
    assert pool.FindFileByName(HEALTH.name).package == "grpc.health.v1"


def test_imports_precede_the_file() -> None:
    contract_files = {file.name: file for file in load_contract_files()}
    seen: set[str] = set()
    for file in contract_files.values():
        assert {*file.dependency} & contract_files.keys() <= seen, "a pool rejects a file before its imports"
        seen.add(file.name)
    assert [each.name for each in collect_with_imports(V1ALPHA)][-1] == V1ALPHA.name


def test_v1_differs_from_v1alpha_in_package_only() -> None:
    v1, v1alpha = build_v1_file(), FileDescriptorProto()
    V1ALPHA.CopyToProto(v1alpha)
    assert v1.package == "grpc.reflection.v1"
    assert v1.name != v1alpha.name, "both files are in one pool"
    assert [message.name for message in v1.message_type] == [message.name for message in v1alpha.message_type]
