"""Authentication, authorization and routing of edge, ingress and operators' endpoint, in front of echo servers."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from tests.envoy_test_mesh import (
    HEALTH_CHECK_METHOD,
    PROJECT_ID,
    SERVING_RESPONSE,
    SIGNING_KEY,
    MeshClient,
    build_bearer_headers,
    create_token,
    running_test_mesh,
)
from tests.envoys import build_settings, issue_certificates, running_envoy

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ORIGIN = "http://localhost:5173"
GET_ORDER = "/delivery.orders.v1.OrdersService/GetOrder"
PAYMENT_CALLBACK = "/delivery.orders.v1.OrdersService/HandlePaymentCallback"
FORGED_PAYLOAD = base64.urlsafe_b64encode(
    json.dumps({"sub": "mallory", "role": "admin", "exp": 2**31}).encode()
).decode()


@pytest.fixture(scope="module")
def envoy_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_mesh(tmp_path_factory.mktemp("mesh")) as client:
        yield client


@pytest.fixture(scope="module")
def edge(envoy_mesh: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=envoy_mesh.get_url("EDGE_PORT") + "/api/v1", trust_env=False, timeout=10) as client:
        yield client


def get_trace_id(response: httpx.Response) -> str:
    """Return the trace id of a response, and check its tracing headers."""
    assert response.headers["x-request-id"]
    version, trace_id, span_id, flags = response.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), flags) == ("00", 32, 16, "01")
    return trace_id


def assert_problem(response: httpx.Response, status: int, reason: str) -> None:
    """Check that the response is a problem document of the contract."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["reason"], document["type"]) == (status, reason, f"/problems/{reason}")
    assert document["title"]
    assert document["detail"]
    assert document["trace_id"] == get_trace_id(response)
    assert (response.headers.get("www-authenticate", "").startswith("Bearer")) == (status == 401)


def sign_token(key: rsa.RSAPrivateKey | None, algorithm: str, **header: Any) -> dict[str, str]:
    """Return the Authorization header with the claims of a valid token, signed in another way."""
    claims = jwt.decode(create_token(), options={"verify_signature": False})
    return {"authorization": "Bearer " + jwt.encode(claims, key, algorithm, headers={"kid": "one", **header})}


def sign_token_with_public_key() -> dict[str, str]:
    """Return the Authorization header with a token whose HMAC key is the public key, which PyJWT does not create."""
    key = SIGNING_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = create_token().split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    digest = hmac.digest(key, f"{header}.{payload}".encode(), "sha256")
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"authorization": f"Bearer {header}.{payload}.{signature}"}


INVALID_TOKENS: dict[str, dict[str, str]] = {
    "missing": {},
    "malformed": {"authorization": "Bearer nonsense"},
    "other scheme": {"authorization": f"Basic {create_token()}"},
    "other key": build_bearer_headers(OTHER_KEY),
    "expired": build_bearer_headers(exp=int(time.time()) - 60),
    "without expiry": {"authorization": "Bearer " + jwt.encode(
        {"iss": f"https://securetoken.google.com/{PROJECT_ID}", "aud": PROJECT_ID, "sub": "ada"}, SIGNING_KEY, "RS256",
        headers={"kid": "one"})},
    "other audience": build_bearer_headers(aud="another-project"),
    "other issuer": build_bearer_headers(iss="https://elsewhere.example"),
    "not yet valid": build_bearer_headers(nbf=int(time.time()) + 600),
    "no algorithm": sign_token(None, "none"),
    "public key as secret": sign_token_with_public_key(),
    "key in header": sign_token(OTHER_KEY, "RS256", jwk=RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True)),
    "key of a URL in header": sign_token(OTHER_KEY, "RS256", jku="http://127.0.0.1/jwks.json"),
    "unknown key": sign_token(OTHER_KEY, "RS256", kid="two"),
}  # fmt: skip


@pytest.mark.parametrize("headers", INVALID_TOKENS.values(), ids=INVALID_TOKENS.keys())
def test_invalid_token_returns_401(edge: httpx.Client, headers: dict[str, str]) -> None:
    assert_problem(edge.get("/orders", headers=headers), 401, "UNAUTHENTICATED")


def test_token_in_query_returns_401(edge: httpx.Client) -> None:
    assert_problem(edge.get("/orders", params={"access_token": create_token()}), 401, "UNAUTHENTICATED")


def test_operations_require_their_roles(edge: httpx.Client) -> None:
    assert edge.get("/orders", headers=build_bearer_headers(role="customer")).status_code == 200
    assert edge.get("/orders", headers=build_bearer_headers(role="admin")).status_code == 200
    for role in ("customer", "deliverer2", "xdeliverer", ["deliverer"], None):
        assert_problem(edge.get("/deliveries", headers=build_bearer_headers(role=role)), 403, "FORBIDDEN")
    assert edge.get("/users/me", headers=build_bearer_headers(role=None)).status_code == 200


def test_unknown_route_is_reported_before_missing_token(edge: httpx.Client) -> None:
    assert_problem(edge.get("/nothing"), 404, "NOT_FOUND")
    assert_problem(edge.get("/orders/one/two/three", headers=build_bearer_headers()), 404, "NOT_FOUND")
    response = edge.put("/orders")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_head_uses_route_of_get(edge: httpx.Client) -> None:
    assert edge.head("/orders", headers=build_bearer_headers()).status_code == 200
    assert edge.head("/orders").status_code == 401


def test_oversized_body_returns_413(edge: httpx.Client) -> None:
    assert edge.post("/order-checks", headers=build_bearer_headers(), content=b" " * 65_536).status_code == 200
    assert_problem(
        edge.post("/order-checks", headers=build_bearer_headers(), content=b" " * 65_537), 413, "PAYLOAD_TOO_LARGE"
    )
    chunks = iter([b" " * 40_000, b" " * 40_000])
    assert_problem(edge.post("/order-checks", headers=build_bearer_headers(), content=chunks), 413, "PAYLOAD_TOO_LARGE")


def test_path_with_escaped_slash_returns_400(edge: httpx.Client) -> None:
    response = edge.get("/orders%2Fone", headers=build_bearer_headers())
    assert response.status_code == 400
    assert response.json()["reason"] == "INVALID_REQUEST"


def test_identity_and_trace_headers_of_clients_are_removed(edge: httpx.Client) -> None:
    client_headers = {
        "x-jwt-payload": FORGED_PAYLOAD,
        "x-jwt-other": "1",
        "x-auth-sub": "mallory",
        "x-envoy-retry-on": "5xx",
        "x-envoy-original-path": "/admin",
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
        "tracestate": "mallory=1",
    }
    anonymous = edge.post("/sessions", headers=client_headers)
    authenticated = edge.get("/users/me", headers=client_headers | build_bearer_headers())
    for response in (anonymous, authenticated):
        forwarded = response.json()
        assert not {"x-jwt-other", "x-auth-sub", "x-envoy-retry-on", "x-envoy-original-path"} & forwarded.keys()
        assert forwarded["traceparent"].split("-")[1] == get_trace_id(response) != "1" * 32
        assert "mallory" not in forwarded.get("tracestate", "")
    assert "x-jwt-payload" not in anonymous.json()
    payload = authenticated.json()["x-jwt-payload"]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"] == "ada"
    assert authenticated.json()["authorization"].startswith("Bearer ")


def test_public_paths_need_no_token(edge: httpx.Client, envoy_mesh: MeshClient) -> None:
    root = envoy_mesh.get_url("EDGE_PORT")
    for path in ("/openapi.json", "/openapi.yaml", "/problems/NOT_FOUND"):
        assert httpx.get(root + path, trust_env=False).status_code == 200
        rejected = httpx.post(root + path, trust_env=False)
        assert (rejected.status_code, rejected.headers["allow"]) == (405, "GET, HEAD")
        assert "x-trace-id" not in rejected.headers
    assert edge.post("/callbacks/payments/visa", json={}).status_code == 200


def test_cors_headers_only_for_allowed_origins(edge: httpx.Client) -> None:
    request_headers = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = edge.options("/orders", headers={"origin": ORIGIN, **request_headers})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    rejected = edge.options("/orders", headers={"origin": "http://localhost:5173.evil.example", **request_headers})
    assert "access-control-allow-origin" not in rejected.headers
    response = edge.get("/orders", headers={"origin": ORIGIN})
    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = {name.strip().lower() for name in response.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "location", "retry-after", "idempotency-replayed", "traceresponse", "x-request-id"} <= exposed


def test_preflight_response_has_trace_headers(edge: httpx.Client) -> None:
    get_trace_id(edge.options("/orders", headers={"origin": ORIGIN, "access-control-request-method": "POST"}))


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/orders%2Fone", {}), ("/orders", {"under_score": "1"}), ("/orders", {"x-large": "x" * 70_000})],
    ids=["escaped slash", "underscore in header name", "headers too large"],
)
def test_malformed_request_returns_problem_document(edge: httpx.Client, path: str, headers: dict[str, str]) -> None:
    response = edge.get(path, headers=headers)
    document = response.json()
    assert (document["status"], document["reason"]) == (400, "INVALID_REQUEST")
    assert response.headers["x-request-id"]
    assert [len(part) for part in response.headers["traceresponse"].split("-")] == [2, 32, 16, 2]
    assert isinstance(document["trace_id"], str)


def test_traceresponse_reports_unsampled_trace(envoy_mesh: MeshClient, tmp_path: Path) -> None:
    issue_certificates(tmp_path)
    values = build_settings(tmp_path, JWKS_PORT=envoy_mesh.settings["JWKS_PORT"], TRACE_PERCENT="0")
    with running_envoy(tmp_path, "gateway", values):
        response = httpx.get(f"http://127.0.0.1:{values['EDGE_PORT']}/nothing", trust_env=False)
    assert response.headers["traceresponse"].endswith("-00")


def test_edge_supports_http2_over_tls(envoy_mesh: MeshClient) -> None:
    with httpx.Client(http2=True, verify=envoy_mesh.create_ssl_context(), trust_env=False) as client:
        response = client.get(
            envoy_mesh.get_url("EDGE_TLS_PORT", "https") + "/api/v1/orders", headers=build_bearer_headers()
        )
    assert (response.status_code, response.http_version) == (200, "HTTP/2")


def test_egress_call_carries_token_payload_and_caller_identity(envoy_mesh: MeshClient) -> None:
    forged = {"x-jwt-payload": FORGED_PAYLOAD}
    metadata = json.loads(envoy_mesh.call_egress(GET_ORDER, **build_bearer_headers(), **forged))
    assert json.loads(base64.urlsafe_b64decode(metadata["x-jwt-payload"] + "=="))["sub"] == "ada"
    assert "URI=spiffe://delivery.local/gateway" in metadata["x-forwarded-client-cert"]
    assert "x-jwt-payload" not in json.loads(envoy_mesh.call_egress(PAYMENT_CALLBACK, **forged))


@pytest.mark.parametrize(
    "headers",
    [{}, build_bearer_headers(OTHER_KEY), build_bearer_headers(exp=1)],
    ids=["missing", "other key", "expired"],
)
def test_ingress_validates_token(envoy_mesh: MeshClient, headers: dict[str, str]) -> None:
    with pytest.raises(grpc.RpcError) as error:
        envoy_mesh.call_egress(GET_ORDER, **headers)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_egress_rejects_ungranted_method(envoy_mesh: MeshClient) -> None:
    for path, authority in ((f"{GET_ORDER}s", "orders"), (HEALTH_CHECK_METHOD, "orders"), (GET_ORDER, "elsewhere")):
        with pytest.raises(grpc.RpcError) as error:
            envoy_mesh.call_egress(path, authority, **build_bearer_headers())
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def get_grpc_status(response: httpx.Response) -> grpc.StatusCode:
    number = int(response.headers["grpc-status"])
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def test_ingress_allows_only_granted_callers_and_methods(envoy_mesh: MeshClient) -> None:
    assert b"spiffe://delivery.local/gateway" in envoy_mesh.call_ingress(PAYMENT_CALLBACK, "gateway").content
    for name in ("partners", "unknown"):
        assert get_grpc_status(envoy_mesh.call_ingress(PAYMENT_CALLBACK, name)) is grpc.StatusCode.PERMISSION_DENIED
        assert (
            get_grpc_status(envoy_mesh.call_ingress(GET_ORDER, name, headers=build_bearer_headers()))
            is grpc.StatusCode.PERMISSION_DENIED
        )
        assert get_grpc_status(envoy_mesh.call_ingress(HEALTH_CHECK_METHOD, name)) is grpc.StatusCode.PERMISSION_DENIED
    reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    for path in ("/delivery.orders.v1.OrdersService/Nothing", reflection):
        assert (
            get_grpc_status(envoy_mesh.call_ingress(path, "gateway", headers=build_bearer_headers()))
            is grpc.StatusCode.PERMISSION_DENIED
        )


def test_ingress_rejects_missing_and_foreign_certificates(envoy_mesh: MeshClient, tmp_path: Path) -> None:
    issue_certificates(tmp_path)
    for certificate, folder in ((None, None), ("gateway", tmp_path / "pki")):
        with pytest.raises(httpx.TransportError):
            envoy_mesh.call_ingress(PAYMENT_CALLBACK, certificate, folder)
    with pytest.raises(httpx.TransportError):
        httpx.get(envoy_mesh.get_url("ORDERS_INGRESS_PORT"), trust_env=False)
    with pytest.raises(grpc.RpcError) as error:
        envoy_mesh.call_rpc(PAYMENT_CALLBACK, "orders", f"127.0.0.1:{envoy_mesh.settings['ORDERS_INGRESS_PORT']}")
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_operators_endpoint_requires_admin_token(envoy_mesh: MeshClient) -> None:
    assert envoy_mesh.call_ops(HEALTH_CHECK_METHOD) == SERVING_RESPONSE
    for version in ("v1", "v1alpha"):
        assert envoy_mesh.call_ops(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    assert json.loads(envoy_mesh.call_ops(GET_ORDER, **build_bearer_headers(role="admin")))
    for headers, code in (
        ({}, grpc.StatusCode.UNAUTHENTICATED),
        (build_bearer_headers(OTHER_KEY, role="admin"), grpc.StatusCode.UNAUTHENTICATED),
        (build_bearer_headers(role="customer"), grpc.StatusCode.PERMISSION_DENIED),
    ):
        for path in (GET_ORDER, PAYMENT_CALLBACK):
            with pytest.raises(grpc.RpcError) as error:
                envoy_mesh.call_ops(path, **headers)
            assert error.value.code() is code


@pytest.mark.parametrize("name", ["gateway", "orders"])
def test_probe_listener_serves_only_health(envoy_mesh: MeshClient, name: str) -> None:
    port = envoy_mesh.settings[f"{name.upper()}_PROBE_PORT"]
    assert envoy_mesh.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}") == SERVING_RESPONSE
    with pytest.raises(grpc.RpcError) as error:
        envoy_mesh.call_rpc(PAYMENT_CALLBACK, "probe", f"127.0.0.1:{port}")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    for path in ("/", "/api/v1/banks", "/stats"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 404


def test_draining_sidecar_fails_health_check_but_serves(envoy_mesh: MeshClient) -> None:
    port = envoy_mesh.settings["ORDERS_PROBE_PORT"]
    with httpx.Client(base_url=envoy_mesh.get_url("ORDERS_ADMIN_PORT"), trust_env=False) as admin:
        admin.post("/healthcheck/fail").raise_for_status()
        try:
            with pytest.raises(grpc.RpcError) as error:
                envoy_mesh.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}")
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            envoy_mesh.call_ops(GET_ORDER, **build_bearer_headers(role="admin"))
        finally:
            admin.post("/healthcheck/ok").raise_for_status()
    assert envoy_mesh.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}") == SERVING_RESPONSE


def test_probe_listener_serves_statistics_and_no_other_admin_path(envoy_mesh: MeshClient) -> None:
    with httpx.Client(base_url=envoy_mesh.get_url("ORDERS_PROBE_PORT"), trust_env=False) as probe:
        response = probe.get("/stats/prometheus")
        assert response.status_code == 200
        assert "envoy_server_live" in response.text
        for path in ("/stats", "/clusters", "/config_dump", "/stats/prometheus/", "/stats/prometheus/../recentlookups"):
            assert probe.get(path).status_code == 404, path
        for path in ("/stats/prometheus", "/healthcheck/fail", "/drain_listeners"):
            assert probe.post(path).status_code == 404, path


def test_admin_interface_is_read_only(envoy_mesh: MeshClient) -> None:
    with httpx.Client(base_url=envoy_mesh.get_url("ORDERS_ADMIN_PORT"), trust_env=False) as admin:
        for path in ("/ready", "/stats", "/stats/prometheus", "/clusters", "/config_dump"):
            assert admin.get(path).status_code == 200, path
        for path in ("/quitquitquit", "/logging", "/runtime_modify", "/certs", "/reset_counters"):
            assert admin.post(path).status_code == 403, path
