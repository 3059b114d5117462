"""Fuzz test of all gRPC methods with random bytes and random messages: no internal errors."""

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.mesh_config import CALLEES
from tests.conftest import ROOT, Mesh, shift_port

SERVER_ERRORS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED}
FUZZ_SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MAX_DEPTH = 3


def load_descriptor_pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes()).file:
        pool.Add(file)
    return pool


def list_methods() -> Iterator[tuple[str, MethodDescriptor]]:
    pool = load_descriptor_pool()
    for service in CALLEES:
        name = f"delivery.{service}.v1.{service.title()}Service"
        for method in pool.FindServiceByName(name).methods:
            yield service, method


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
"""Without lone surrogates: Protobuf strings are UTF-8."""
TOKENS = st.sampled_from(["", "1", "visa", "demo-customer", "WyJhIl0", "9" * 30, "\0", "' OR 1=1 --"])
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS | TOKENS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=60),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 3),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
}


@st.composite
def generate_message(draw: st.DrawFn, kind: Descriptor, depth: int = MAX_DEPTH) -> Message:
    """Generate a message of a type with a random subset of its fields."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        values = (
            draw(st.lists(value_strategy(field, depth), max_size=3))
            if field.is_repeated
            else [draw(value_strategy(field, depth))]
        )
        for item in values:
            if item is None:
                continue
            if field.is_repeated and field.message_type is not None:
                getattr(message, field.name).add().CopyFrom(item)
            elif field.is_repeated:
                getattr(message, field.name).append(item)
            elif field.message_type is not None:
                getattr(message, field.name).CopyFrom(item)
            else:
                setattr(message, field.name, item)
    return message


def value_strategy(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return the strategy for a field. Messages below the maximum depth are omitted."""
    if field.message_type is not None:
        return generate_message(field.message_type, depth - 1) if depth else st.none()
    if field.enum_type is not None:
        return st.integers(0, 9)
    return SCALARS[field.type]


@pytest.fixture(scope="module")
def admin_metadata(edge: httpx.Client) -> tuple[tuple[str, str], ...]:
    session = edge.post("/sessions", json={"email": "admin@delivery.test", "password": "delivery-demo-1"}).json()
    return (("authorization", f"Bearer {session['access_token']}"),)


def call_method(
    mesh: Mesh, service: str, method: MethodDescriptor, body: bytes, metadata: tuple[tuple[str, str], ...]
) -> grpc.StatusCode:
    options = [("grpc.default_authority", service), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
    path = f"/{method.containing_service.full_name}/{method.name}"
    with grpc.insecure_channel(f"127.0.0.1:{shift_port(15000)}", options=options) as channel:
        try:
            if method.server_streaming:
                next(iter(channel.unary_stream(path)(body, timeout=5, metadata=metadata)), None)
            else:
                channel.unary_unary(path)(body, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


for_each_method = pytest.mark.parametrize(
    ("service", "method"),
    [pytest.param(service, method, id=f"{service}.{method.name}") for service, method in list_methods()],
)


@for_each_method
@FUZZ_SETTINGS
@given(body=st.binary(max_size=200))
def test_random_bytes_cause_no_server_error(
    mesh: Mesh, admin_metadata: tuple[tuple[str, str], ...], service: str, method: MethodDescriptor, body: bytes
) -> None:
    assert call_method(mesh, service, method, body, admin_metadata) not in SERVER_ERRORS


@for_each_method
@FUZZ_SETTINGS
@given(data=st.data())
def test_random_messages_cause_no_server_error(
    mesh: Mesh, admin_metadata: tuple[tuple[str, str], ...], service: str, method: MethodDescriptor, data: st.DataObject
) -> None:
    message = data.draw(generate_message(method.input_type))
    assert call_method(mesh, service, method, message.SerializeToString(), admin_metadata) not in SERVER_ERRORS


@pytest.mark.parametrize(
    "path", ["/partners", "/products", "/banks", "/notification-agents", "/orders", "/notifications"]
)
def test_values_accepted_by_rpc_are_readable_by_rest(
    edge: httpx.Client, admin_metadata: tuple[tuple[str, str], ...], path: str
) -> None:
    """The public API can return all values that the methods accepted."""
    page: dict[str, str] = {}
    while True:
        response = edge.get(path, params={"page_size": "100"} | page, headers=dict(admin_metadata))
        assert response.status_code == 200, response.text
        if (token := response.json().get("next_page_token")) is None:
            return
        page = {"page_token": token}
