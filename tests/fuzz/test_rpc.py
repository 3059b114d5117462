"""Every gRPC method, called with random bytes and with random messages: an answer or a refusal, never our mistake."""

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

from tests.conftest import ROOT, Mesh, shift_port

SERVICES = ("orders", "partners", "notifications")
MISTAKES = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED}
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DEPTH = 3


def pool() -> DescriptorPool:
    found = DescriptorPool()
    for file in FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes()).file:
        found.Add(file)
    return found


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    contracts = pool()
    for service in SERVICES:
        name = f"delivery.{service}.v1.{service.title()}Service"
        for method in contracts.FindServiceByName(name).methods:
            yield service, method


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
"""Protobuf's strings are UTF-8, so they have no lone surrogates."""
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
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = DEPTH) -> Message:
    """A message of a type, each of its fields there or not."""
    made = GetMessageClass(kind)()
    for field in kind.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        values = draw(st.lists(value(field, depth), max_size=3)) if field.is_repeated else [draw(value(field, depth))]
        for item in values:
            if item is None:
                continue
            if field.is_repeated and field.message_type is not None:
                getattr(made, field.name).add().CopyFrom(item)
            elif field.is_repeated:
                getattr(made, field.name).append(item)
            elif field.message_type is not None:
                getattr(made, field.name).CopyFrom(item)
            else:
                setattr(made, field.name, item)
    return made


def value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """A value of a field; messages that are too deep are left out."""
    if field.message_type is not None:
        return messages(field.message_type, depth - 1) if depth else st.none()
    if field.enum_type is not None:
        return st.integers(0, 9)
    return SCALARS[field.type]


@pytest.fixture(scope="module")
def admin(edge: httpx.Client) -> tuple[tuple[str, str], ...]:
    session = edge.post("/sessions", json={"email": "admin@delivery.test", "password": "delivery-demo-1"}).json()
    return (("authorization", f"Bearer {session['access_token']}"),)


def outcome(
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


each = pytest.mark.parametrize(
    ("service", "method"), [pytest.param(*found, id=f"{found[0]}.{found[1].name}") for found in methods()]
)


@each
@EXAMPLES
@given(body=st.binary(max_size=200))
def test_random_bytes(
    mesh: Mesh, admin: tuple[tuple[str, str], ...], service: str, method: MethodDescriptor, body: bytes
) -> None:
    assert outcome(mesh, service, method, body, admin) not in MISTAKES


@each
@EXAMPLES
@given(data=st.data())
def test_random_messages(
    mesh: Mesh, admin: tuple[tuple[str, str], ...], service: str, method: MethodDescriptor, data: st.DataObject
) -> None:
    message = data.draw(messages(method.input_type))
    assert outcome(mesh, service, method, message.SerializeToString(), admin) not in MISTAKES


@pytest.mark.parametrize(
    "listing", ["/partners", "/products", "/banks", "/notification-agents", "/orders", "/notifications"]
)
def test_what_was_written_can_be_read(edge: httpx.Client, admin: tuple[tuple[str, str], ...], listing: str) -> None:
    """Whatever the methods took, the public API can say: what it could not was refused."""
    page: dict[str, str] = {}
    while True:
        answer = edge.get(listing, params={"page_size": "100"} | page, headers=dict(admin))
        assert answer.status_code == 200, answer.text
        if (token := answer.json().get("next_page_token")) is None:
            return
        page = {"page_token": token}
