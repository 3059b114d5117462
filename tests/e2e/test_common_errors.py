"""Errors common to all operations, with test cases generated from the contract."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from codegen.contracts import load
from codegen.rest.operations import Operation, iter_operations
from deploy.local.demo.scenario_context import ScenarioContext
from tests import store_dump
from tests.conftest import ROOT, Mesh
from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, User, create_image

type Bearer = Callable[[str], dict[str, str]]

CONTRACTS = load(ROOT)
OPERATIONS = list(iter_operations(CONTRACTS, "delivery"))
UNKNOWN_PATH_PARAMETERS = {"bank_id": "unknown", "picture": f"{'x' * 32}.{'0' * 64}"}
"""Path parameters of unknown resources with a special format."""

UNKNOWN_ID = 9_000_000
"""Numeric id of no resource."""


def build_unknown_path(operation: Operation) -> str:
    """Return the path of an operation for unknown resources."""
    schemas = {
        parameter["name"]: CONTRACTS.resolve_reference("delivery", parameter["schema"])
        for parameter in operation.parameters
        if parameter["in"] == "path"
    }
    values = {
        name: UNKNOWN_ID if schema["type"] == "integer" else UNKNOWN_PATH_PARAMETERS.get(name, "unknown-id")
        for name, schema in schemas.items()
    }
    return operation.path.format(**values)


def build_body(operation: Operation) -> dict[str, Any]:
    """Return httpx arguments of a valid body: the example of the contract, or a picture."""
    if operation.body is None:
        return {}
    media_type, content = next(iter(operation.body.items()))
    schema = CONTRACTS.resolve_reference("delivery", content["schema"])
    if media_type == "multipart/form-data":
        (field,) = schema["properties"]
        return {"files": {field: ("a.png", create_image(), "image/png")}}
    return {"json": schema["examples"][0]}


def get_role(operation: Operation) -> str:
    """Return the role of a demo account that is authorized."""
    return operation.roles[0] if operation.roles else "customer"


def for_operations(condition: Callable[[Operation], object]) -> Any:
    """Parametrize a test with the operations for which the condition is true."""
    selected = [operation for operation in OPERATIONS if condition(operation)]
    return pytest.mark.parametrize("operation", selected, ids=[operation.id for operation in selected])


def build_headers(operation: Operation, bearer: Bearer) -> dict[str, str]:
    """Return headers of an authorized user, or none if the operation needs no token."""
    return bearer(get_role(operation)) if operation.scheme == "bearer" else {}


def requires_token(operation: Operation) -> bool:
    return operation.scheme == "bearer"


@for_operations(requires_token)
def test_operation_without_token_returns_401(edge: httpx.Client, operation: Operation) -> None:
    response = edge.request(operation.method, build_unknown_path(operation), **build_body(operation))
    assert_problem(response, 401, "UNAUTHENTICATED")
    assert "www-authenticate" in response.headers


@for_operations(lambda operation: operation.roles)
def test_operation_with_wrong_role_returns_403(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    for role in {"customer", "deliverer", "admin"} - set(operation.roles):
        response = edge.request(
            operation.method, build_unknown_path(operation), headers=bearer(role), **build_body(operation)
        )
        assert_problem(response, 403, "FORBIDDEN")


@for_operations(lambda operation: "{order_id}" in operation.path)
def test_order_of_other_user_returns_404(
    pending: ScenarioContext, edge: httpx.Client, bearer: Bearer, operation: Operation
) -> None:
    """Responses for an order of another user and for an unknown order are the same, and have no effect."""
    before = pending.get_order()
    # Any deliverer may be assigned to an order. That it must be ready is tested separately.
    other_roles = {"customer", "deliverer"} & set(operation.roles or ("customer", "deliverer")) - {
        "deliverer" if operation.id == "assignOrder" else ""
    }
    for role in other_roles:
        responses = [
            edge.request(
                operation.method,
                operation.path.format(order_id=order_id),
                headers=bearer(role),
                **build_body(operation),
            )
            for order_id in (pending.order_id, "unknown-id")
        ]
        foreign, unknown = (assert_problem(response, 404, "ORDER_NOT_FOUND") for response in responses)
        assert foreign["detail"] == unknown["detail"]
        assert responses[0].headers.keys() == responses[1].headers.keys()
    assert pending.get_order() == before


@pytest.fixture(scope="session")
def unapproved_deliverer(edge: httpx.Client, sandbox: httpx.Client) -> User:
    """Return a deliverer without a role, because no admin has approved the account."""
    return User(edge, sandbox, "deliverer").sign_in()


@for_operations(lambda operation: operation.roles)
def test_operation_without_role_returns_403(unapproved_deliverer: User, operation: Operation) -> None:
    assert_problem(
        unapproved_deliverer.request(operation.method, build_unknown_path(operation), **build_body(operation)),
        403,
        "FORBIDDEN",
    )


FOR_IDEMPOTENT_OPERATIONS = for_operations(
    lambda operation: any(parameter["name"] == "Idempotency-Key" for parameter in operation.parameters)
)

SERVICES_BY_OPERATION = {
    "createBank": "orders",
    "rotateBankSecret": "orders",
    "rotatePartnerSecret": "partners",
    "confirmOrder": "orders",
    "createPartner": "partners",
    "createProduct": "partners",
    "createAgent": "notifications",
}
"""The service whose database stores the idempotency keys of an operation."""


@FOR_IDEMPOTENT_OPERATIONS
def test_idempotency_key_in_progress_returns_409(
    edge: httpx.Client, mesh: Mesh, bearer: Bearer, operation: Operation
) -> None:
    headers = bearer(get_role(operation))
    claims = jwt.decode(headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    key = f"busy-{secrets.token_hex(8)}"
    lock = "\n".join(("idempotency", claims["sub"], operation.id, key))
    with (
        store_dump.connect_database(mesh.state_dir, SERVICES_BY_OPERATION[operation.id]) as connection,
        connection.transaction(),
    ):
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
        response = edge.request(
            operation.method,
            build_unknown_path(operation),
            headers=headers | {"idempotency-key": key},
            **build_body(operation),
        )
    assert_problem(response, 409, "IDEMPOTENCY_KEY_BUSY")
    assert response.headers["retry-after"]


@for_operations(
    lambda operation: bool(operation.body) and any(each["name"] == "Idempotency-Key" for each in operation.parameters)
)
def test_idempotency_key_reuse_returns_422(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    headers = bearer(get_role(operation)) | {"idempotency-key": f"used-{secrets.token_hex(8)}"}
    request = build_body(operation)["json"]
    name = next(name for name in ("check_id", "title", "name") if name in request)
    request |= {name: f"{request[name]}-{secrets.token_hex(4)}"}
    first, repeated = (
        edge.request(operation.method, build_unknown_path(operation), headers=headers, json=request) for _ in range(2)
    )
    assert (repeated.status_code, repeated.headers["idempotency-replayed"]) == (first.status_code, "true")
    other_request = request | {name: f"{request[name]}-other"}
    response = edge.request(operation.method, build_unknown_path(operation), headers=headers, json=other_request)
    assert_problem(response, 422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(("operation_id", "key_field"), [("createBank", "id"), ("createPartner", "title")])
def test_idempotency_key_of_rotation_belongs_to_one_resource(
    edge: httpx.Client, bearer: Bearer, operation_id: str, key_field: str
) -> None:
    create = next(each for each in OPERATIONS if each.id == operation_id)
    paths = []
    for _ in range(2):
        body = build_body(create)["json"] | {key_field: f"rotated-{secrets.token_hex(4)}"}
        created = edge.request(create.method, create.path, headers=bearer("admin"), json=body)
        paths.append(f"{created.headers['location'].removeprefix('/api/v1')}/secret")
    headers = bearer("admin") | {"idempotency-key": f"rotate-{secrets.token_hex(8)}"}
    first, repeated = (edge.post(paths[0], headers=headers) for _ in range(2))
    assert first.status_code == 200, first.text
    assert (repeated.json(), repeated.headers["idempotency-replayed"]) == (first.json(), "true")
    assert_problem(edge.post(paths[1], headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")
    for _ in range(3):
        assert edge.post(paths[0], headers=bearer("admin")).status_code == 200
    limited = edge.post(paths[0], headers=bearer("admin"))
    assert_problem(limited, 429, "TOO_MANY_REQUESTS")
    assert 0 < int(limited.headers["retry-after"]) <= 86400


@for_operations(lambda operation: "400" in operation.raw["responses"])
def test_unknown_parameter_returns_400(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    response = edge.request(
        operation.method,
        build_unknown_path(operation),
        params={"unknown": "1"},
        headers=build_headers(operation, bearer),
        **build_body(operation),
    )
    assert_problem(response, 400, "INVALID_REQUEST")


@for_operations(lambda operation: operation.body)
def test_oversized_body_returns_413(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    limit = operation.raw.get("x-max-bytes", 64 * 1024)
    media_type = next(iter(operation.body))  # type: ignore[arg-type]
    headers = build_headers(operation, bearer) | {"content-type": media_type}
    response = edge.request(
        operation.method, build_unknown_path(operation), headers=headers, content=b"x" * (limit + 1)
    )
    assert_problem(response, 413, "PAYLOAD_TOO_LARGE")


@for_operations(lambda operation: operation.body)
def test_unsupported_media_type_returns_415(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    headers = build_headers(operation, bearer) | {"content-type": "text/plain"}
    response = edge.request(operation.method, build_unknown_path(operation), headers=headers, content=b"hello")
    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@for_operations(
    lambda operation: "404" in operation.raw["responses"] and "{" in operation.path and operation.scheme != "webhook"
)
def test_unknown_resource_returns_404(edge: httpx.Client, bearer: Bearer, operation: Operation) -> None:
    response = edge.request(
        operation.method,
        build_unknown_path(operation),
        headers=build_headers(operation, bearer),
        **build_body(operation),
    )
    assert response.json()["reason"].endswith("NOT_FOUND")
    assert_problem(response, 404, response.json()["reason"])


@pytest.fixture(scope="session")
def authorization_without_profile(sandbox: httpx.Client) -> dict[str, str]:
    """Return the Authorization header of an account that exists only at the identity provider."""
    account = {"email": f"{secrets.token_hex(6)}@delivery.test", "password": PASSWORD, "returnSecureToken": True}
    path = "/identitytoolkit.googleapis.com/v1/accounts:signUp"
    response = sandbox.post(path, params={"key": "local"}, json=account).raise_for_status()
    return {"authorization": f"Bearer {response.json()['idToken']}"}


@for_operations(lambda operation: "404" in operation.raw["responses"] and "{" not in operation.path)
def test_request_without_profile_returns_404(
    edge: httpx.Client, authorization_without_profile: dict[str, str], operation: Operation
) -> None:
    headers = authorization_without_profile
    response = edge.request(operation.method, operation.path, headers=headers, **build_body(operation))
    assert_problem(
        response, 404, "USER_NOT_FOUND" if "avatar" not in operation.id.lower() else response.json()["reason"]
    )


@pytest.mark.parametrize("path", ["/banks/visa", "/partners/1", "/products/1"])
def test_matching_etag_returns_304(edge: httpx.Client, bearer: Bearer, path: str) -> None:
    first = edge.get(path, headers=bearer("admin"))
    unchanged = edge.get(path, headers=bearer("admin") | {"if-none-match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert_problem(edge.get(path, headers=bearer("admin") | {"if-none-match": "x" * 4097}), 400, "INVALID_REQUEST")
