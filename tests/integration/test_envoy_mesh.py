"""Real Envoys between toy apps: the edge, an ingress and the operators' door, each asked what it must refuse."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

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
PAY_ORDER = "/delivery.orders.v1.OrdersService/PayOrder"
FORGED_PAYLOAD = base64.urlsafe_b64encode(
    json.dumps({"sub": "mallory", "role": "admin", "exp": 2**31}).encode()
).decode()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_mesh(tmp_path_factory.mktemp("mesh")) as made:
        yield made


@pytest.fixture(scope="module")
def edge(doors: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.get_url("EDGE_PORT") + "/api/v1", trust_env=False, timeout=10) as client:
        yield client


def traced(answer: httpx.Response) -> str:
    """The trace id of an answer, which every answer has, with its request id."""
    assert answer.headers["x-request-id"]
    version, trace_id, span_id, flags = answer.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), flags) == ("00", 32, 16, "01")
    return trace_id


def problem(answer: httpx.Response, status: int, reason: str) -> None:
    """The answer is the contract's problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["reason"], document["type"]) == (status, reason, f"/problems/{reason}")
    assert document["title"]
    assert document["detail"]
    assert document["trace_id"] == traced(answer)
    assert (answer.headers.get("www-authenticate", "").startswith("Bearer")) == (status == 401)


REFUSED: dict[str, dict[str, str]] = {
    "none": {},
    "nonsense": {"authorization": "Bearer nonsense"},
    "another scheme": {"authorization": f"Basic {create_token()}"},
    "forged": build_bearer_headers(OTHER_KEY),
    "expired": build_bearer_headers(exp=int(time.time()) - 60),
    "without an end": {"authorization": "Bearer " + jwt.encode(
        {"iss": f"https://securetoken.google.com/{PROJECT_ID}", "aud": PROJECT_ID, "sub": "ada"}, SIGNING_KEY, "RS256",
        headers={"kid": "one"})},
    "for another audience": build_bearer_headers(aud="another-project"),
    "of another issuer": build_bearer_headers(iss="https://elsewhere.example"),
}  # fmt: skip


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_that_is_none(edge: httpx.Client, headers: dict[str, str]) -> None:
    problem(edge.get("/orders", headers=headers), 401, "UNAUTHENTICATED")


def test_a_token_in_the_query_is_none(edge: httpx.Client) -> None:
    problem(edge.get("/orders", params={"access_token": create_token()}), 401, "UNAUTHENTICATED")


def test_roles(edge: httpx.Client) -> None:
    assert edge.get("/orders", headers=build_bearer_headers(role="customer")).status_code == 200
    assert edge.get("/orders", headers=build_bearer_headers(role="admin")).status_code == 200
    for role in ("customer", "deliverer2", "xdeliverer", ["deliverer"], None):
        problem(edge.get("/deliveries", headers=build_bearer_headers(role=role)), 403, "FORBIDDEN")
    assert edge.get("/users/me", headers=build_bearer_headers(role=None)).status_code == 200


def test_the_route_is_looked_at_before_the_token(edge: httpx.Client) -> None:
    problem(edge.get("/nothing"), 404, "NOT_FOUND")
    problem(edge.get("/orders/one/two/three", headers=build_bearer_headers()), 404, "NOT_FOUND")
    answer = edge.put("/orders")
    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_head_goes_where_get_goes(edge: httpx.Client) -> None:
    assert edge.head("/orders", headers=build_bearer_headers()).status_code == 200
    assert edge.head("/orders").status_code == 401


def test_a_body_that_is_too_large(edge: httpx.Client) -> None:
    assert edge.post("/order-checks", headers=build_bearer_headers(), content=b" " * 65_536).status_code == 200
    problem(edge.post("/order-checks", headers=build_bearer_headers(), content=b" " * 65_537), 413, "PAYLOAD_TOO_LARGE")
    chunks = iter([b" " * 40_000, b" " * 40_000])
    problem(edge.post("/order-checks", headers=build_bearer_headers(), content=chunks), 413, "PAYLOAD_TOO_LARGE")


def test_a_path_that_could_be_read_in_two_ways(edge: httpx.Client) -> None:
    answer = edge.get("/orders%2Fone", headers=build_bearer_headers())
    assert answer.status_code == 400
    assert answer.json()["reason"] == "INVALID_REQUEST"


def test_what_a_client_says_about_itself_is_not_passed_on(edge: httpx.Client) -> None:
    said = {
        "x-jwt-payload": FORGED_PAYLOAD,
        "x-jwt-other": "1",
        "x-auth-sub": "mallory",
        "x-envoy-retry-on": "5xx",
        "x-envoy-original-path": "/admin",
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
        "tracestate": "mallory=1",
    }
    public = edge.post("/sessions", headers=said)
    signed = edge.get("/users/me", headers=said | build_bearer_headers())
    for answer in (public, signed):
        seen = answer.json()
        assert not {"x-jwt-other", "x-auth-sub", "x-envoy-retry-on", "x-envoy-original-path"} & seen.keys()
        assert seen["traceparent"].split("-")[1] == traced(answer) != "1" * 32
        assert "mallory" not in seen.get("tracestate", "")
    assert "x-jwt-payload" not in public.json()
    payload = signed.json()["x-jwt-payload"]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"] == "ada"
    assert signed.json()["authorization"].startswith("Bearer ")


def test_what_is_public(edge: httpx.Client, doors: MeshClient) -> None:
    root = doors.get_url("EDGE_PORT")
    for path in ("/openapi.json", "/openapi.yaml", "/problems/NOT_FOUND"):
        assert httpx.get(root + path, trust_env=False).status_code == 200
        refused = httpx.post(root + path, trust_env=False)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert "x-trace-id" not in refused.headers
    assert edge.post("/callbacks/payments/visa", json={}).status_code == 200


def test_cors(edge: httpx.Client) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = edge.options("/orders", headers={"origin": ORIGIN, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = edge.options("/orders", headers={"origin": "http://localhost:5173.evil.example", **asked})
    assert "access-control-allow-origin" not in refused.headers
    answer = edge.get("/orders", headers={"origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "location", "retry-after", "idempotency-replayed", "traceresponse", "x-request-id"} <= exposed


def test_a_preflight_names_its_trace(edge: httpx.Client) -> None:
    traced(edge.options("/orders", headers={"origin": ORIGIN, "access-control-request-method": "POST"}))


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/orders%2Fone", {}), ("/orders", {"under_score": "1"}), ("/orders", {"x-large": "x" * 70_000})],
    ids=["an escaped slash", "an underscore", "headers too large"],
)
def test_a_request_that_is_refused_unread_is_a_whole_problem(
    edge: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = edge.get(path, headers=headers)
    document = answer.json()
    assert (document["status"], document["reason"]) == (400, "INVALID_REQUEST")
    assert answer.headers["x-request-id"]
    assert [len(part) for part in answer.headers["traceresponse"].split("-")] == [2, 32, 16, 2]
    assert isinstance(document["trace_id"], str)


def test_an_answer_says_that_it_was_not_sampled(doors: MeshClient, tmp_path: Path) -> None:
    issue_certificates(tmp_path)
    values = build_settings(tmp_path, JWKS_PORT=doors.settings["JWKS_PORT"], TRACE_PERCENT="0")
    with running_envoy(tmp_path, "gateway", values):
        answer = httpx.get(f"http://127.0.0.1:{values['EDGE_PORT']}/nothing", trust_env=False)
    assert answer.headers["traceresponse"].endswith("-00")


def test_the_edge_by_tls(doors: MeshClient) -> None:
    with httpx.Client(http2=True, verify=doors.create_ssl_context(), trust_env=False) as client:
        answer = client.get(doors.get_url("EDGE_TLS_PORT", "https") + "/api/v1/orders", headers=build_bearer_headers())
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


def test_a_call_between_services(doors: MeshClient) -> None:
    got = json.loads(doors.call_egress(GET_ORDER, **build_bearer_headers(), **{"x-jwt-payload": FORGED_PAYLOAD}))
    assert json.loads(base64.urlsafe_b64decode(got["x-jwt-payload"] + "=="))["sub"] == "ada"
    assert "URI=spiffe://delivery.local/gateway" in got["x-forwarded-client-cert"]
    assert "x-jwt-payload" not in json.loads(doors.call_egress(PAY_ORDER, **{"x-jwt-payload": FORGED_PAYLOAD}))


@pytest.mark.parametrize(
    "headers", [{}, build_bearer_headers(OTHER_KEY), build_bearer_headers(exp=1)], ids=["none", "forged", "expired"]
)
def test_the_callee_validates_the_token_again(doors: MeshClient, headers: dict[str, str]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        doors.call_egress(GET_ORDER, **headers)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_what_no_contract_grants_is_not_sent_on(doors: MeshClient) -> None:
    for path, authority in ((f"{GET_ORDER}s", "orders"), (HEALTH_CHECK_METHOD, "orders"), (GET_ORDER, "elsewhere")):
        with pytest.raises(grpc.RpcError) as caught:
            doors.call_egress(path, authority, **build_bearer_headers())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def status(answer: httpx.Response) -> grpc.StatusCode:
    number = int(answer.headers["grpc-status"])
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def test_the_ingress_knows_its_callers(doors: MeshClient) -> None:
    assert b"spiffe://delivery.local/gateway" in doors.call_ingress(PAY_ORDER, "gateway").content
    for name in ("partners", "stranger"):
        assert status(doors.call_ingress(PAY_ORDER, name)) is grpc.StatusCode.PERMISSION_DENIED
        assert (
            status(doors.call_ingress(GET_ORDER, name, headers=build_bearer_headers()))
            is grpc.StatusCode.PERMISSION_DENIED
        )
        assert status(doors.call_ingress(HEALTH_CHECK_METHOD, name)) is grpc.StatusCode.PERMISSION_DENIED
    reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    for path in ("/delivery.orders.v1.OrdersService/Nothing", reflection):
        assert (
            status(doors.call_ingress(path, "gateway", headers=build_bearer_headers()))
            is grpc.StatusCode.PERMISSION_DENIED
        )


def test_the_ingress_refuses_who_has_no_certificate_of_ours(doors: MeshClient, tmp_path: Path) -> None:
    issue_certificates(tmp_path)
    for certificate, folder in ((None, None), ("gateway", tmp_path / "pki")):
        with pytest.raises(httpx.TransportError):
            doors.call_ingress(PAY_ORDER, certificate, folder)
    with pytest.raises(httpx.TransportError):
        httpx.get(doors.get_url("ORDERS_INGRESS_PORT"), trust_env=False)
    with pytest.raises(grpc.RpcError) as caught:
        doors.call_rpc(PAY_ORDER, "orders", f"127.0.0.1:{doors.settings['ORDERS_INGRESS_PORT']}")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_operators_call_as_admins(doors: MeshClient) -> None:
    assert doors.call_ops(HEALTH_CHECK_METHOD) == SERVING_RESPONSE
    for version in ("v1", "v1alpha"):
        assert doors.call_ops(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    assert json.loads(doors.call_ops(GET_ORDER, **build_bearer_headers(role="admin")))
    for headers, code in (
        ({}, grpc.StatusCode.UNAUTHENTICATED),
        (build_bearer_headers(OTHER_KEY, role="admin"), grpc.StatusCode.UNAUTHENTICATED),
        (build_bearer_headers(role="customer"), grpc.StatusCode.PERMISSION_DENIED),
    ):
        for path in (GET_ORDER, PAY_ORDER):
            with pytest.raises(grpc.RpcError) as caught:
                doors.call_ops(path, **headers)
            assert caught.value.code() is code


@pytest.mark.parametrize("name", ["gateway", "orders"])
def test_the_probe_door_shows_health_and_nothing_else(doors: MeshClient, name: str) -> None:
    port = doors.settings[f"{name.upper()}_PROBE_PORT"]
    assert doors.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}") == SERVING_RESPONSE
    with pytest.raises(grpc.RpcError) as caught:
        doors.call_rpc(PAY_ORDER, "probe", f"127.0.0.1:{port}")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    for path in ("/", "/api/v1/banks", "/stats"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 404


def test_a_sidecar_that_drains_fails_its_health_and_serves_on(doors: MeshClient) -> None:
    port = doors.settings["ORDERS_PROBE_PORT"]
    with httpx.Client(base_url=doors.get_url("ORDERS_ADMIN_PORT"), trust_env=False) as admin:
        admin.post("/healthcheck/fail").raise_for_status()
        try:
            with pytest.raises(grpc.RpcError) as caught:
                doors.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            doors.call_ops(GET_ORDER, **build_bearer_headers(role="admin"))
        finally:
            admin.post("/healthcheck/ok").raise_for_status()
    assert doors.call_rpc(HEALTH_CHECK_METHOD, "probe", f"127.0.0.1:{port}") == SERVING_RESPONSE


def test_the_admin_shows_what_operators_need(doors: MeshClient) -> None:
    with httpx.Client(base_url=doors.get_url("ORDERS_ADMIN_PORT"), trust_env=False) as admin:
        for path in ("/ready", "/stats", "/stats/prometheus", "/clusters", "/config_dump"):
            assert admin.get(path).status_code == 200, path
        for path in ("/quitquitquit", "/logging", "/runtime_modify", "/certs", "/reset_counters"):
            assert admin.post(path).status_code == 403, path
