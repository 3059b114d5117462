"""RPC methods of REST operations.

An operation belongs to the RPC method in its `x-rpc` extension (`loans.v1.EndLoan`) or, without the extension,
to the method with the operationId as its name: `getLoan` belongs to `GetLoan`.
"""

from collections.abc import Iterator

from codegen.contracts import Contracts
from codegen.errors import map_all
from codegen.protobuf import Method
from codegen.rest.operations import Operation, iter_operations

RPC_EXTENSION = "x-rpc"


def is_method_of(operation: Operation, method: Method) -> bool:
    """Return whether the method belongs to the operation."""
    if RPC_EXTENSION in operation.raw:
        package = method.service.rpartition(".")[0]
        return bool(operation.raw[RPC_EXTENSION] == f"{package.partition('.')[2]}.{method.name}")
    return method.name == operation.id[0].upper() + operation.id[1:]


def find_method(contracts: Contracts, operation: Operation) -> Method | None:
    """Return the method of the operation, or None.

    Raises ContractError for an unknown method in `x-rpc`, or when several services have a method of the same name.
    """
    methods = [method for service in contracts.protos.services for method in service.methods]
    found = [method for method in methods if is_method_of(operation, method)]
    if RPC_EXTENSION in operation.raw and not found:
        value = operation.raw[RPC_EXTENSION]
        raise operation.create_error(f"{RPC_EXTENSION} is not a method: {value}", "write <service>.v1.<Method>")
    if len(found) > 1:
        paths = ", ".join(method.path for method in found)
        raise operation.create_error(f"the operation matches {paths}", f"add {RPC_EXTENSION} with one of them")
    return found[0] if found else None


def iter_methods_of_operations(contracts: Contracts) -> Iterator[tuple[Operation, Method]]:
    """Yield the operations with a method, in file order."""
    operations = list(iter_operations(contracts, contracts.name)) if contracts.name in contracts.openapi else []
    methods = map_all(lambda operation: find_method(contracts, operation), operations)
    for operation, method in zip(operations, methods, strict=True):
        if method is not None:
            yield operation, method


def iter_forwarded_operations(contracts: Contracts) -> Iterator[tuple[Operation, Method]]:
    """Yield the operations whose handlers only forward the call, in file order. A stream has its own event ids."""
    for operation, method in iter_methods_of_operations(contracts):
        if not method.is_streaming:
            yield operation, method
