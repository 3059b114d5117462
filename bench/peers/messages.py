"""google.protobuf's classes (its C implementation) of the messages in api-specs/."""

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from bench.places import ROOT

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes()).file:
    _pool.Add(_file)


def message(name: str) -> Any:
    """`partners.ListCatalogRequest`, say."""
    package, _, rest = name.partition(".")
    return GetMessageClass(_pool.FindMessageTypeByName(f"delivery.{package}.v1.{rest}"))


METHODS = {
    "catalog": ("partners", "ListCatalog"),
    "check": ("partners", "CheckProducts"),
    "create": ("orders", "CreateOrder"),
    "order": ("orders", "GetOrder"),
}
"""The four that the bench drives."""


def path(method: str) -> str:
    """As gRPC writes it."""
    package, name = METHODS[method]
    return f"/delivery.{package}.v1.{package.title()}Service/{name}"


def types(method: str) -> tuple[Any, Any]:
    """Request and response."""
    package, name = METHODS[method]
    return message(f"{package}.{name}Request"), message(f"{package}.{name}Response")
