"""What every operation refuses alike, in cases made from the contract itself."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from codegen.contracts import load
from codegen.rest.operations import Operation, operations
from deploy.local.demo.scenarios import ScenarioContext
from tests import store_dump
from tests.conftest import ROOT, Mesh
from tests.e2e.test_error_responses import problem
from tests.users import User, create_image

type Bearer = Callable[[str], dict[str, str]]

CONTRACTS = load(ROOT)
OPERATIONS = list(operations(CONTRACTS, "delivery"))
UNKNOWN = {"bank_id": "nobody", "picture": f"{'x' * 32}.{'0' * 64}"}
"""Path parameters of a form of their own that lead nowhere."""

NOWHERE = 9_000_000
"""Nobody's number."""


def path(operation: Operation) -> str:
    """Where the operation is, for things that are not there."""
    named = {each["name"]: each for each in operation.parameters if each["in"] == "path"}
    integers = {
        n for n, each in named.items() if CONTRACTS.resolve_reference("delivery", each["schema"])["type"] == "integer"
    }
    values = {name: NOWHERE if name in integers else UNKNOWN.get(name, "not-there") for name in named}
    return operation.path.format(**values)


def body(operation: Operation) -> dict[str, Any]:
    """A request that the contract allows, as httpx wants to be told: its own example, or a picture."""
    if operation.body is None:
        return {}
    ((media_type, content),) = operation.body.items()
    schema = CONTRACTS.resolve_reference("delivery", content["schema"])
    if media_type == "multipart/form-data":
        (field,) = schema["properties"]
        return {"files": {field: ("a.png", create_image(), "image/png")}}
    return {"json": schema["examples"][0]}


def role(operation: Operation) -> str:
    """A demo account that may."""
    return operation.roles[0] if operation.roles else "customer"


def some(wanted: Callable[[Operation], object]) -> Any:
    """A test for each operation of which that is so."""
    found = [operation for operation in OPERATIONS if wanted(operation)]
    return pytest.mark.parametrize("operation", found, ids=[operation.id for operation in found])


def who(operation: Operation, bearer: Bearer) -> dict[str, str]:
    """The headers of somebody who may; of nobody for what needs none."""
    return bearer(role(operation)) if operation.scheme == "bearer" else {}


def by_bearer(operation: Operation) -> bool:
    return operation.scheme == "bearer"


@some(by_bearer)
def test_nobody_without_a_token(edge: httpx.Client, operation: Operation) -> None:
    answer = edge.request(operation.method, path(operation), **body(operation))
    problem(answer, 401, "UNAUTHENTICATED")
    assert "www-authenticate" in answer.headers


@some(lambda operation: operation.roles)
def test_nobody_in_another_role(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    for other in {"customer", "deliverer", "admin"} - set(operation.roles):
        answer = edge.request(operation.method, path(operation), headers=bearer(other), **body(operation))
        problem(answer, 403, "FORBIDDEN")


@some(lambda operation: "{order_id}" in operation.path)
def test_nothing_of_another_person(
    pending: ScenarioContext, edge: httpx.Client, bearer: Bearer, operation: Operation
) -> None:
    """An order that is somebody else's and one that was never made look the same, and nothing happens to either."""
    before = pending.get_order()
    # Whoever delivers may take any order; the rule that it must be ready has a test of its own.
    others = {"customer", "deliverer"} & set(operation.roles or ("customer", "deliverer")) - {
        "deliverer" if operation.id == "assignOrder" else ""
    }
    for other in others:
        answers = [
            edge.request(
                operation.method, operation.path.format(order_id=order_id), headers=bearer(other), **body(operation)
            )
            for order_id in (pending.order_id, "not-there")
        ]
        theirs, unknown = (problem(answer, 404, "ORDER_NOT_FOUND") for answer in answers)
        assert theirs["detail"] == unknown["detail"]
        assert answers[0].headers.keys() == answers[1].headers.keys()
    assert pending.get_order() == before


@pytest.fixture(scope="session")
def waiting(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """A deliverer whom no admin has let in yet, and who has no role."""
    return User(edge, sandbox, "deliverer").sign_in()


@some(lambda operation: operation.roles)
def test_nobody_without_a_role(waiting: User, operation: Operation) -> None:
    problem(waiting.request(operation.method, path(operation), **body(operation)), 403, "FORBIDDEN")


KEYED = some(lambda operation: any(each["name"] == "Idempotency-Key" for each in operation.parameters))

OWNERS = {
    "createBank": "orders",
    "confirmOrder": "orders",
    "createPartner": "partners",
    "createProduct": "partners",
    "createAgent": "notifications",
}
"""The service that keeps the keys of an operation, in its database."""


@KEYED
def test_no_key_whose_first_request_is_under_way(
    edge: httpx.Client, mesh: Mesh, bearer: Bearer, operation: Operation
) -> None:
    headers = bearer(role(operation))
    claims = jwt.decode(headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    key = f"busy-{secrets.token_hex(8)}"
    lock = "\n".join(("idempotency", claims["sub"], operation.id, key))
    with store_dump.connect_database(mesh.state_dir, OWNERS[operation.id]) as first, first.transaction():
        first.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
        answer = edge.request(
            operation.method, path(operation), headers=headers | {"idempotency-key": key}, **body(operation)
        )
    problem(answer, 409, "IDEMPOTENCY_KEY_BUSY")
    assert answer.headers["retry-after"]


@KEYED
def test_no_key_that_another_request_has_used(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    headers = bearer(role(operation)) | {"idempotency-key": f"used-{secrets.token_hex(8)}"}
    asked = body(operation)["json"]
    name = next(name for name in ("check_id", "title", "name") if name in asked)
    asked |= {name: f"{asked[name]}-{secrets.token_hex(4)}"}
    first, again = (edge.request(operation.method, path(operation), headers=headers, json=asked) for _ in range(2))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (first.status_code, "true")
    other = asked | {name: f"{asked[name]}-other"}
    answer = edge.request(operation.method, path(operation), headers=headers, json=other)
    problem(answer, 422, "IDEMPOTENCY_KEY_REUSED")


@some(lambda operation: "400" in operation.raw["responses"])
def test_no_parameter_that_the_contract_does_not_know(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    answer = edge.request(
        operation.method,
        path(operation),
        params={"unheard_of": "1"},
        headers=who(operation, bearer),
        **body(operation),
    )
    problem(answer, 400, "INVALID_REQUEST")


@some(lambda operation: operation.body)
def test_no_body_beyond_the_limit(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    limit = operation.raw.get("x-max-bytes", 64 * 1024)
    ((media_type, _),) = operation.body.items()  # type: ignore[union-attr]
    headers = who(operation, bearer) | {"content-type": media_type}
    answer = edge.request(operation.method, path(operation), headers=headers, content=b"x" * (limit + 1))
    problem(answer, 413, "PAYLOAD_TOO_LARGE")


@some(lambda operation: operation.body)
def test_no_body_of_another_kind(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    headers = who(operation, bearer) | {"content-type": "text/plain"}
    answer = edge.request(operation.method, path(operation), headers=headers, content=b"hello")
    problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@some(lambda operation: "404" in operation.raw["responses"] and "{" in operation.path and operation.scheme != "webhook")
def test_nothing_that_is_not_there(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    answer = edge.request(operation.method, path(operation), headers=who(operation, bearer), **body(operation))
    assert answer.json()["reason"].endswith("NOT_FOUND")
    problem(answer, 404, answer.json()["reason"])


@pytest.fixture(scope="session")
def gone(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """Somebody who has left, and whose token has not ended yet."""
    person = User(edge, sandbox).sign_in()
    assert person.request("DELETE", "/users/me").status_code == 204
    return person


@some(lambda operation: "404" in operation.raw["responses"] and "{" not in operation.path)
def test_nothing_of_those_who_have_left(gone: User, operation: Operation) -> None:
    answer = gone.request(operation.method, operation.path, **body(operation))
    problem(answer, 404, "USER_NOT_FOUND" if "avatar" not in operation.id.lower() else answer.json()["reason"])


@pytest.mark.parametrize("there", ["/banks/visa", "/partners/1", "/products/1"])
def test_nothing_that_one_has_is_sent_again(edge: httpx.Client, bearer: Bearer, there: str) -> None:
    first = edge.get(there, headers=bearer("admin"))
    again = edge.get(there, headers=bearer("admin") | {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    problem(edge.get(there, headers=bearer("admin") | {"if-none-match": "x" * 4097}), 400, "INVALID_REQUEST")
