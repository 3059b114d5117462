"""The repository's contracts, with changes that a test makes to the public API."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

from codegen import contracts
from codegen.contracts import Contracts
from tests.conftest import ROOT

type Document = dict[str, Any]
type Change = Callable[[Document], object]


@cache
def repository_contracts() -> Contracts:
    """Return the contracts without changes."""
    return contracts.load(ROOT)


def with_change(change: Change) -> Contracts:
    """Return the contracts with a changed `delivery.yaml`."""
    present = repository_contracts()
    source = Contracts(openapi=copy.deepcopy(present.openapi), protos=present.protos, mesh=present.mesh)
    change(source.openapi["delivery"])
    return source


def find_operation(document: Document, operation_id: str) -> Document:
    """Return the operation with the id."""
    operations = [each for item in document["paths"].values() for each in item.values() if isinstance(each, dict)]
    return next(each for each in operations if each.get("operationId") == operation_id)
