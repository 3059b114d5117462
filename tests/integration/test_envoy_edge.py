"""Answers of the edge to unusual but valid requests, and to requests that it rejects itself."""

import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from codegen.envoy import edge as edge_routes
from generated.problems import PROBLEMS, Reason
from tests.envoy_test_mesh import MeshClient, build_bearer_headers, create_token, running_test_edge

ORIGIN = "http://localhost:5173"
ORDERS = "/api/v1/orders"


@pytest.fixture(scope="module")
def edge_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_edge(tmp_path_factory.mktemp("edge")) as client:
        yield client


@pytest.fixture(scope="module")
def edge(edge_mesh: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge_mesh.get_url("EDGE_PORT"), trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEARER   "])
def test_authorization_scheme_is_case_insensitive(edge: httpx.Client, scheme: str) -> None:
    """RFC 9110, 11.1."""
    token = create_token()
    response = edge.get("/api/v1/orders", headers={"authorization": scheme + token})
    assert response.status_code == 200
    assert response.json()["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("scheme", ["", "bearer", "xbearer ", "Basic ", "token bearer "])
def test_other_authorization_scheme_returns_401(edge: httpx.Client, scheme: str) -> None:
    response = edge.get("/api/v1/orders", headers={"authorization": scheme + create_token()})
    assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("path", ["/api/v1/catalog", "/api/v1/catalog/1/products"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}], ids=["absent", "invalid"])
def test_catalog_needs_no_token(edge: httpx.Client, path: str, headers: dict[str, str]) -> None:
    assert edge.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"x-envoy-expected-rq-timeout-ms": "1"}, {"X-Envoy-Upstream-Rq-Timeout-Ms": "1"}]
)
def test_app_receives_timeout_of_the_operation(edge: httpx.Client, headers: dict[str, str]) -> None:
    received = edge.get("/api/v1/catalog", headers=headers).json()
    assert received["x-envoy-expected-rq-timeout-ms"] == "15000"


def send(mesh: MeshClient, request_line: str, headers: Mapping[str, str]) -> tuple[HTTPResponse, Any]:
    """Send a request unchanged, and return the response with its decoded body."""
    lines = [request_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection(("127.0.0.1", int(mesh.settings["EDGE_PORT"])), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        response = HTTPResponse(connection)
        response.begin()
        return response, json.loads(response.read())


@pytest.mark.parametrize("host", [{}, {"Host": "edge"}], ids=["without host", "with host"])
def test_http_1_0_request_is_answered(edge_mesh: MeshClient, host: dict[str, str]) -> None:
    response, _ = send(edge_mesh, f"GET {ORDERS} HTTP/1.0", host | build_bearer_headers())
    assert response.status == 200
    response, document = send(edge_mesh, f"GET {ORDERS} HTTP/1.0", host)
    assert (response.status, document["reason"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "unknown"])
def test_upgrade_header_is_ignored(edge_mesh: MeshClient, protocol: str) -> None:
    """RFC 9110, 7.8."""
    headers = {"Host": "edge", "Connection": "Upgrade", "Upgrade": protocol, **build_bearer_headers()}
    response, forwarded = send(edge_mesh, f"GET {ORDERS} HTTP/1.1", headers)
    assert response.status == 200
    assert "upgrade" not in forwarded


REJECTED: dict[str, tuple[str, dict[str, str], int, str]] = {
    "transfer coding": ("POST /api/v1/sessions HTTP/1.1", {"Transfer-Encoding": "unknown, chunked"}, 400,
        "INVALID_REQUEST"),
    "scheme": (f"GET https://edge{ORDERS} HTTP/1.1", build_bearer_headers(), 400, "INVALID_REQUEST"),
    "connect": ("CONNECT edge:443 HTTP/1.1", build_bearer_headers(), 400, "INVALID_REQUEST"),
    "asterisk": ("OPTIONS * HTTP/1.1", {}, 404, "NOT_FOUND"),
    "path": ("GET /nothing HTTP/1.1", {}, 404, "NOT_FOUND"),
    "method": (f"TRACE {ORDERS} HTTP/1.1", {}, 405, "METHOD_NOT_ALLOWED"),
    "token": (f"GET {ORDERS} HTTP/1.1", {}, 401, "UNAUTHENTICATED"),
    "audience": (f"GET {ORDERS} HTTP/1.1", build_bearer_headers(aud="another"), 401, "UNAUTHENTICATED"),
    "role": ("GET /api/v1/deliveries HTTP/1.1", build_bearer_headers(), 403, "FORBIDDEN"),
    "size": ("POST /api/v1/sessions HTTP/1.1", {"Content-Length": "65537"}, 413, "PAYLOAD_TOO_LARGE"),
    "escaped slash": ("GET /api%2Fv1 HTTP/1.1", {}, 400, "INVALID_REQUEST"),
    "length and chunks": ("POST /api/v1/sessions HTTP/1.1",
        {"Content-Length": "3", "Transfer-Encoding": "chunked"}, 400, "INVALID_REQUEST"),
    "two lengths": ("POST /a HTTP/1.1", {"Content-Length": "3", "content-length": "4"}, 400, "INVALID_REQUEST"),
    "signed length": ("POST /api/v1/sessions HTTP/1.1", {"Content-Length": "+3"}, 400, "INVALID_REQUEST"),
    "chunks twice": ("POST /api/v1/sessions HTTP/1.1",
        {"Transfer-Encoding": "chunked", "transfer-encoding": "chunked"}, 400, "INVALID_REQUEST"),
    "two hosts": (f"GET {ORDERS} HTTP/1.1", {"host": "edge"} | build_bearer_headers(), 400, "INVALID_REQUEST"),
    "user": (f"GET {ORDERS} HTTP/1.1", {"Host": "user@edge"}, 400, "INVALID_REQUEST"),
    "space before colon": ("GET /api/v1/orders HTTP/1.1", {"Content-Length ": "3"}, 400, "INVALID_REQUEST"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "headers", "status", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_request_returns_problem_document_with_trace(
    edge_mesh: MeshClient, line: str, headers: dict[str, str], status: int, reason: str
) -> None:
    response, document = send(edge_mesh, line, {"Host": "edge", "Origin": ORIGIN} | headers)
    assert (response.status, document["status"], document["reason"]) == (status, status, reason)
    version, trace_id, span_id, flags = response.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
    assert document["trace_id"] == trace_id
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in response.headers) == (status == 401)


REJECTED_BY_CODEC = {
    name: REJECTED[name]
    for name in (
        *("transfer coding", "scheme", "length and chunks", "two lengths", "signed length", "chunks twice"),
        "space before colon",
    )
}
"""Requests that are rejected before Envoy provides their headers, so that language and origin are unknown."""

LANGUAGES_BY_HEADER = {
    "de-DE,de;q=0.9,en;q=0.8": "de",
    "en;q=0.5, de;q=0.9": "de",
    "en;q=0, de": "de",
    "en-GB,en;q=0.9,de;q=0.8": "en",
    "de;q=0.2, en": "en",
    "en;q=0.8, de;q=0.85": "de",
    "en;q=0.816, de;q=0.815": "en",
    "de;q=0.9, de-AT;q=0.85, en;q=0.9": "en",
    "en;q=0, *": "de",
    "de;q=0.5, *;q=0.8": "en",
    "fr": "en",
}
WITH_HEADERS = {name: each for name, each in REJECTED.items() if name not in REJECTED_BY_CODEC}


@pytest.mark.parametrize(("line", "headers", "_status", "reason"), WITH_HEADERS.values(), ids=WITH_HEADERS.keys())
def test_detail_of_rejection_is_in_the_language_of_the_client(
    edge_mesh: MeshClient, line: str, headers: dict[str, str], _status: int, reason: str
) -> None:
    for accepted, language in LANGUAGES_BY_HEADER.items():
        response, document = send(edge_mesh, line, {"Host": "edge", "Accept-Language": accepted} | headers)
        assert document["detail"] == PROBLEMS[Reason(reason)].detail[language]
        assert response.headers["content-language"] == language
        assert "accept-language" in response.headers["vary"].lower()


@pytest.mark.parametrize(
    ("line", "headers", "_status", "reason"), REJECTED_BY_CODEC.values(), ids=REJECTED_BY_CODEC.keys()
)
def test_detail_of_request_without_readable_headers_is_english(
    edge_mesh: MeshClient, line: str, headers: dict[str, str], _status: int, reason: str
) -> None:
    response, document = send(edge_mesh, line, {"Host": "edge", "Accept-Language": "de"} | headers)
    assert document["detail"] == PROBLEMS[Reason(reason)].detail["en"]
    assert response.headers["content-language"] == "en"


@pytest.mark.parametrize(
    ("line", "headers", "status", "_reason"), REJECTED_BY_CODEC.values(), ids=REJECTED_BY_CODEC.keys()
)
def test_error_without_readable_headers_has_no_cors_headers(
    edge_mesh: MeshClient, line: str, headers: dict[str, str], status: int, _reason: str
) -> None:
    response, _ = send(edge_mesh, line, {"Host": "edge", "Origin": ORIGIN} | headers)
    assert response.status == status
    assert "access-control-allow-origin" not in response.headers
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize(("line", "headers", "status", "reason"), WITH_HEADERS.values(), ids=WITH_HEADERS.keys())
def test_error_of_the_edge_is_readable_for_allowed_origins_only(
    edge_mesh: MeshClient, line: str, headers: dict[str, str], status: int, reason: str
) -> None:
    for origin, expected in ((ORIGIN, ORIGIN), (f"{ORIGIN}.evil.example", None), (f"x{ORIGIN}", None)):
        response, _ = send(edge_mesh, line, {"Host": "edge", "Origin": origin} | headers)
        assert response.headers["access-control-allow-origin"] == expected
        assert ("retry-after" in response.headers.get("access-control-expose-headers", "").lower()) == bool(expected)
        assert "origin" in response.headers["vary"].lower()
        assert response.status == status


PREFLIGHT = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


@pytest.mark.parametrize(
    ("path", "status"), [(ORDERS, 405), ("/api/v1/catalog", 405), ("/docs", 405), ("/nothing", 404)]
)
def test_only_preflight_of_allowed_origins_is_accepted(edge: httpx.Client, path: str, status: int) -> None:
    allowed = edge.options(path, headers={"origin": ORIGIN} | PREFLIGHT)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "GET" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    for changes in ({"origin": f"{ORIGIN}.evil.example"}, {"origin": ""}, {"access-control-request-method": ""}):
        other = edge.options(path, headers={"origin": ORIGIN} | PREFLIGHT | changes)
        assert (other.status_code, other.json()["status"]) == (status, status), "not forwarded"
        assert "access-control-allow-methods" not in other.headers
        assert ("access-control-allow-origin" in other.headers) == ("origin" not in changes)


def test_response_without_caching_headers_is_not_stored(edge: httpx.Client) -> None:
    requests = {
        "personal": edge.get(ORDERS, headers=build_bearer_headers()),
        "session": edge.post("/api/v1/sessions", json={}),
        "unauthenticated": edge.get(ORDERS),
        "not found": edge.get("/nothing"),
        "malformed": edge.get("/a%2Fb"),
    }
    for name, response in requests.items():
        assert response.headers["cache-control"] == "no-store", name
        assert response.headers["x-content-type-options"] == "nosniff", name
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", name
        assert response.headers["referrer-policy"] == "no-referrer", name
        assert response.headers["vary"].lower().count("origin") == 1, name
        assert "strict-transport-security" not in response.headers, name


def test_tls_listener_requires_https_from_browsers(edge_mesh: MeshClient) -> None:
    with httpx.Client(verify=edge_mesh.create_ssl_context(), trust_env=False) as client:
        for path in (ORDERS, "/nothing", "/docs"):
            response = client.get(edge_mesh.get_url("EDGE_TLS_PORT", "https") + path)
            assert response.headers["strict-transport-security"] == f"max-age={edge_mesh.settings['HSTS_MAX_AGE_S']}"


@pytest.mark.parametrize("path", ["/shop", "/shop/", "/shop/orders/1?order_id=1"])
def test_every_path_of_an_app_requests_its_page(edge: httpx.Client, path: str) -> None:
    assert edge.get(path).json()[":path"] == "/shop"
    assert edge.get("/shop/assets/a.js").json()[":path"] == "/shop/assets/a.js"


STATIC_PATHS = (
    "/shop",
    "/shop/assets/x",
    *edge_routes.PUBLIC_PATHS,
    *(f"{prefix}x" for prefix in edge_routes.PUBLIC_PATH_PREFIXES),
)


@pytest.mark.parametrize("path", STATIC_PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_static_path_answers_other_methods_with_405(edge: httpx.Client, path: str, method: str) -> None:
    response = edge.request(method, path, headers={"origin": ORIGIN})
    assert (response.status_code, response.json()["reason"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD"
    assert "allow" in response.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/api/v1/catalog"])
@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("br", "br"), ("gzip, br", "br"), ("", None)])
def test_text_is_compressed_as_accepted(edge: httpx.Client, path: str, accepted: str, encoding: str | None) -> None:
    headers = {"accept-encoding": accepted, "x-padding": "x" * 5000} | build_bearer_headers()
    with edge.stream("GET", path, headers=headers) as response:
        size = len(b"".join(response.iter_raw()))
    assert response.status_code == 200
    assert response.headers.get("content-encoding") == encoding
    assert (size < 5000) == (encoding is not None)
    assert response.headers["etag"] == ('W/"1"' if encoding else '"1"')
    assert response.headers["vary"].lower().replace(" ", "") in ("accept-encoding,origin", "origin,accept-encoding")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/orders/1/events"),
        ("GET", "/api/v1/users/me/avatar"),
        ("GET", "/api/v1/users/me"),
        ("POST", "/api/v1/sessions"),
    ],
    ids=["stream", "picture", "strong ETag", "secret"],
)
def test_response_is_not_compressed(edge: httpx.Client, method: str, path: str) -> None:
    headers = {"accept-encoding": "gzip, br", "x-padding": "x" * 5000} | build_bearer_headers()
    response = edge.request(method, path, headers=headers)
    assert response.status_code == 200
    assert "content-encoding" not in response.headers
    assert response.headers["etag"] == '"1"'


def test_denied_requests_are_logged_without_sampling(tmp_path: Path) -> None:
    with running_test_edge(tmp_path, ACCESS_LOG_PERCENT="0") as mesh, httpx.Client(trust_env=False) as client:
        url = mesh.get_url("EDGE_PORT") + "/api/v1"
        assert client.get(f"{url}/orders", headers=build_bearer_headers()).status_code == 200
        assert client.get(f"{url}/orders").status_code == 401
        assert client.get(f"{url}/deliveries", headers=build_bearer_headers()).status_code == 403
        assert client.get(f"{url}/nothing").status_code == 404
    lines = [json.loads(line) for line in (tmp_path / "gateway.log").read_text(encoding="utf-8").splitlines()]
    access = [line for line in lines if line.get("logger") == "access.edge"]
    assert [(line["operation"], line["status"]) for line in access] == [
        ("listOrders", 401),
        ("listAvailableDeliveries", 403),
    ]
