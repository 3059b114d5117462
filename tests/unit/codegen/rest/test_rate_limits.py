"""Rate limits of operations: own limits, defaults of the document, and malformed ones."""

from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts
from codegen.rest.operations import Operation, iter_operations
from codegen.rest.rate_limits import RateLimit, list_rate_limits, parse_rate_limit
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

PATHS = {"getNote": ("/notes/{note_id}", "get"), "getLatestNote": ("/notes/latest", "get")}


def create_limited_contracts(name: str, own: Any, default: Any = None, status: str = "429") -> Contracts:
    """Return contracts in which one operation, and optionally the document, has limits."""
    document = create_openapi()
    path, method = PATHS[name]
    operation = document["paths"][path][method]
    operation["responses"][status] = {"description": "Too many requests."}
    if own is not None:
        operation["x-rate-limit"] = own
    if default is not None:
        document["x-rate-limit"] = default
    return create_contracts(openapi=document)


def find_operation(contracts: Contracts, name: str) -> Operation:
    return next(each for each in iter_operations(contracts, "delivery") if each.id == name)


def list_limits(name: str, own: Any, default: Any = None, status: str = "429") -> list[RateLimit]:
    contracts = create_limited_contracts(name, own, default, status)
    return list_rate_limits(contracts, "delivery", find_operation(contracts, name))


def test_operation_without_limits_has_none() -> None:
    assert list_limits("getNote", None, status="200") == []


def test_limits_of_an_operation_override_the_defaults_of_their_scope() -> None:
    limits = list_limits(
        "getNote", {"global": "9/second", "address": "20/hour"}, {"address": "1/second", "subject": "6/minute"}
    )
    assert limits == [RateLimit("address", 20, 3600), RateLimit("subject", 6, 60), RateLimit("global", 9, 1)]


def test_default_per_subject_does_not_apply_to_public_operation() -> None:
    assert list_limits("getLatestNote", None, {"subject": "6/minute", "address": "5/second"}) == [
        RateLimit("address", 5, 1)
    ]


def test_own_limit_per_subject_of_public_operation_is_an_error() -> None:
    with pytest.raises(ContractError, match="operation getLatestNote: the limit per subject has no subject"):
        list_limits("getLatestNote", {"subject": "6/minute"})


def test_limited_operation_without_429_response_is_an_error() -> None:
    with pytest.raises(ContractError, match="operation getNote: x-rate-limit needs the response 429; add it"):
        list_limits("getNote", {"address": "6/minute"}, status="404")


@pytest.mark.parametrize(
    "text", ["", "0/minute", "01/minute", "5/day", "5", "-1/hour", "100001/hour", "5/minute ", "٥/hour", 5]
)
def test_malformed_limit_is_an_error(text: Any) -> None:
    with pytest.raises(ContractError, match=r"here: the x-rate-limit .* of address is not a number"):
        parse_rate_limit("here", "address", text)


def test_unknown_scope_is_an_error() -> None:
    with pytest.raises(ContractError, match="here: unknown scope token in x-rate-limit"):
        parse_rate_limit("here", "token", "5/minute")


@pytest.mark.parametrize(("requests", "window_s", "wait_s"), [(30, 3600, 120), (600, 60, 1), (7, 60, 9), (500, 1, 1)])
def test_wait_is_the_time_of_one_token_rounded_up(requests: int, window_s: int, wait_s: int) -> None:
    assert RateLimit("address", requests, window_s).max_wait_s == wait_s
