"""google.protobuf message classes (C implementation) of the messages in api-specs/."""

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from bench.paths import ROOT

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes()).file:
    _pool.Add(_file)


def get_message_class(name: str) -> Any:
    """Return the class of a message, for example `partners.ListCatalogRequest`."""
    package, _, rest = name.partition(".")
    return GetMessageClass(_pool.FindMessageTypeByName(f"delivery.{package}.v1.{rest}"))


RPC_METHODS = {
    "banks": ("orders", "ListBanks"),
    "catalog": ("partners", "ListCatalog"),
    "check": ("partners", "CheckProducts"),
    "create": ("orders", "CreateOrder"),
    "order": ("orders", "GetOrder"),
    "pay": ("orders", "HandlePaymentCallback"),
    "ready": ("partners", "HandleReadyCallback"),
    "assign": ("orders", "AssignOrder"),
    "complete": ("orders", "CompleteOrder"),
}
"""The benchmarked RPCs: package and method by short name."""

PARTNER_STATE_FIELDS = ("products_truncated", "is_open", "delivery_fee", "delivery_fee_currency")
"""Fields of a partner in the catalog that follow its products."""


def get_rpc_path(method: str) -> str:
    """Return the gRPC path of an RPC."""
    package, name = RPC_METHODS[method]
    return f"/delivery.{package}.v1.{package.title()}Service/{name}"


def get_message_types(method: str) -> tuple[Any, Any]:
    """Return the request and response classes of an RPC."""
    package, name = RPC_METHODS[method]
    return get_message_class(f"{package}.{name}Request"), get_message_class(f"{package}.{name}Response")
