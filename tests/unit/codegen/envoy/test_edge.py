"""Routes, filters and listeners of the edge."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.contracts import Contracts
from codegen.envoy import edge
from codegen.envoy.authorization import allow_public, is_token_required, list_allowed_roles
from codegen.envoy.common import Config, Profile
from codegen.envoy.request_bodies import MAX_JSON_BODY_BYTES
from codegen.envoy.route_selection import build_route_matcher
from codegen.mesh import APPS_KEY, load_mesh
from codegen.rest.operations import Operation, iter_operations
from tests.conftest import ROOT
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

APPS = ("shop", "till")
CONTRACTS: Contracts = create_contracts()
CONTRACTS = replace(CONTRACTS, mesh={**CONTRACTS.mesh, APPS_KEY: APPS})
OPERATIONS = {operation.id: operation for operation in iter_operations(CONTRACTS, "delivery")}
ROUTES = edge.build_edge_routes(CONTRACTS)
PROFILE = Profile("production")


def matches(match: Config, method: str, path: str, headers: frozenset[str] = frozenset()) -> bool:
    """Return whether Envoy would select a route with this matcher."""
    for header in match.get("headers", []):
        if header["name"] == ":method":
            if not re.fullmatch(header["string_match"]["safe_regex"]["regex"], method):
                return False
        elif header["name"] not in headers:
            return False
    if "path" in match:
        return bool(match["path"] == path)
    if "prefix" in match:
        return path.startswith(match["prefix"])
    if "path_separated_prefix" in match:
        return f"{path}/".startswith(f"{match['path_separated_prefix']}/")
    return re.fullmatch(match["safe_regex"]["regex"], path) is not None


def select(method: str, path: str, *headers: str) -> Config:
    """Return the first route that matches a request."""
    return next(route for route in ROUTES if matches(route["match"], method, path, frozenset(headers)))


def find_route(name: str) -> Config:
    (route,) = (route for route in ROUTES if route["name"] == name)
    return route


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/api/v1/notes/1", "getNote"),
        ("HEAD", "/api/v1/notes/1", "getNote"),
        ("PATCH", "/api/v1/notes/1", "updateNote"),
        ("GET", "/api/v1/notes/latest", "getLatestNote"),
        ("PATCH", "/api/v1/notes/latest", "not allowed: /api/v1/notes/latest"),
        ("DELETE", "/api/v1/notes/1", "not allowed: /api/v1/notes/{note_id}"),
        ("HEAD", "/api/v1/callbacks", "not allowed: /api/v1/callbacks"),
        ("GET", "/api/v1/notes/1/events", "watchNote"),
        ("GET", "/api/v1/notes/1/2", "not found"),
        ("GET", "/api/v1/notes/", "not found"),
        ("GET", "/api/v1/notes", "not found"),
        ("GET", "/notes/1", "not found"),
        ("GET", "/", "document: /"),
        ("GET", "/shop", "document: /shop"),
        ("GET", "/shop/orders/1", "document: /shop"),
        ("GET", "/shop/assets/a.js", "document: /shop/assets/"),
        ("GET", "/shopping", "not found"),
        ("POST", "/shop/orders/1", "not allowed: /shop"),
        ("POST", "/", "not allowed: /"),
        ("POST", "/nothing", "not found"),
        ("GET", "/openapi.json", "document: /openapi.json"),
        ("GET", "/problems/NOT_FOUND", "document: /problems/"),
        ("GET", "/openapi/partner-system.yaml", "document: /openapi/"),
        ("POST", "/docs/x", "not allowed: /docs/"),
        ("OPTIONS", "/api/v1/notes/1", "not allowed: /api/v1/notes/{note_id}"),
    ],
)
def test_first_matching_route_of_a_request(method: str, path: str, name: str) -> None:
    assert select(method, path)["name"] == name


@pytest.mark.parametrize("app", APPS)
def test_every_path_of_an_app_is_rewritten_to_its_page(app: str) -> None:
    rewrite = select("GET", f"/{app}/orders/1")["route"]["regex_rewrite"]
    assert re.sub(rewrite["pattern"]["regex"], rewrite["substitution"], f"/{app}/orders/1", count=1) == f"/{app}"
    assert "regex_rewrite" not in select("GET", f"/{app}/assets/a.js")["route"]


def test_every_app_of_the_repository_has_its_routes() -> None:
    assert {page.parent.name for page in (ROOT / "apps").glob("*/index.html")} == {*load_mesh(ROOT)[APPS_KEY]}


def test_cors_preflight_precedes_all_operations() -> None:
    route = select("OPTIONS", "/api/v1/notes/1", "origin", "access-control-request-method")
    assert route["name"] == "preflight"
    assert select("OPTIONS", "/api/v1/notes/1", "origin")["name"] != "preflight"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/notes/{note_id}", "GET, HEAD, PATCH"),
        ("/api/v1/callbacks", "POST"),
        ("/openapi.json", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
def test_405_response_lists_the_allowed_methods(path: str, allowed: str) -> None:
    route = find_route(f"not allowed: {path}")
    assert route["direct_response"] == {"status": 405}
    (header,) = route["response_headers_to_add"]
    assert header["header"] == {"key": "allow", "value": allowed}
    assert route["typed_per_filter_config"] == allow_public()


segments = st.text(st.characters(exclude_characters="/{}", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(segments, min_size=1, max_size=4), segments)
def test_parameter_matches_exactly_one_path_segment(parts: list[str], value: str) -> None:
    template = f"/{'/'.join(parts)}/{{id}}"
    regex = edge.build_path_matcher(template)["safe_regex"]["regex"]
    prefix = template.removesuffix("{id}")
    assert re.fullmatch(regex, prefix + value)
    assert not re.fullmatch(regex, prefix)
    assert not re.fullmatch(regex, f"{prefix}{value}/{value}")


@given(st.text("/az09._-"))
def test_literal_path_is_matched_without_regular_expression(path: str) -> None:
    assert edge.build_path_matcher(path) == {"path": path}


def test_special_characters_of_a_template_are_literal() -> None:
    regex = edge.build_path_matcher("/a.b/{id}/c-d")["safe_regex"]["regex"]
    assert re.fullmatch(regex, "/a.b/1/c-d")
    assert not re.fullmatch(regex, "/aXb/1/c-d")
    assert "\\-" not in regex  # RE2 rejects this escape sequence


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_route_requires_token_and_roles_of_the_contract(operation: Operation) -> None:
    config = find_route(operation.id)["typed_per_filter_config"]
    assert is_token_required(config) == (operation.scheme == "bearer")
    assert list_allowed_roles(config) == set(operation.roles)


def test_roles_of_alternatives_are_combined() -> None:
    assert list_allowed_roles(find_route("getNote")["typed_per_filter_config"]) == {"customer", "admin"}


@pytest.mark.parametrize(
    ("name", "timeout"), [("updateNote", "3s"), ("getNote", edge.DEFAULT_TIMEOUT), ("watchNote", "0s")]
)
def test_timeout_of_the_contract_or_the_default(name: str, timeout: str) -> None:
    assert find_route(name)["route"]["timeout"] == timeout


@pytest.mark.parametrize(("name", "timeouts_ms"), [("updateNote", ["3000"]), ("getNote", ["15000"]), ("watchNote", [])])
def test_app_receives_the_timeout_of_the_route(name: str, timeouts_ms: list[str]) -> None:
    headers = find_route(name).get("request_headers_to_add", [])
    assert [each["header"] for each in headers] == [
        {"key": "x-envoy-expected-rq-timeout-ms", "value": timeout_ms} for timeout_ms in timeouts_ms
    ]
    assert all(each["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD" for each in headers)


def test_event_stream_has_an_idle_timeout_and_own_limits() -> None:
    assert find_route("watchNote")["route"]["idle_timeout"] == edge.STREAM_IDLE_TIMEOUT
    assert find_route("watchNote")["route"]["priority"] == "HIGH"
    assert not find_route("getNote")["route"].keys() & {"idle_timeout", "priority"}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_only_get_operations_are_retried(operation: Operation) -> None:
    assert ("retry_policy" in find_route(operation.id)["route"]) == (operation.method == "GET")


def test_route_of_a_deprecated_operation_adds_its_headers() -> None:
    operation = OPERATIONS["getNote"]
    dates = {"deprecated": True, "x-deprecated-since": "2026-12-01", "x-sunset": "2027-06-01"}
    route = edge.build_operation_route("/api/v1", replace(operation, raw=operation.raw | dates))
    headers = {each["header"]["key"]: each["header"]["value"] for each in route["response_headers_to_add"]}
    assert headers == {"deprecation": "@1796083200", "sunset": "Tue, 01 Jun 2027 00:00:00 GMT"}
    assert all("response_headers_to_add" not in find_route(name) for name in OPERATIONS)


def test_body_limit_of_a_route_enables_an_existing_filter() -> None:
    filters = {each["name"]: each for each in edge.build_edge_filters(CONTRACTS, PROFILE, is_tls=False)}
    assert filters["body_1024"]["typed_config"]["max_request_bytes"] == 1024
    assert filters[f"body_{MAX_JSON_BODY_BYTES}"]["disabled"] is True
    for name in OPERATIONS:
        (limit,) = (each for each in find_route(name)["typed_per_filter_config"] if each.startswith("body_"))
        assert limit in filters
    assert "body_1024" in find_route("receiveCallback")["typed_per_filter_config"]


def test_filters_authenticate_before_they_authorize() -> None:
    names = [each["name"] for each in edge.build_edge_filters(CONTRACTS, PROFILE, is_tls=False)]
    assert names == [
        "trace",
        "restrictions",
        "cors",
        "brotli",
        "gzip",
        "adaptive_concurrency",
        "rate_limit_policy",
        "rate_limit_headers_address",
        "rate_limit_address",
        "bearer_scheme",
        "bearer_header",
        "jwt",
        "rbac",
        "rate_limit_headers_subject",
        "rate_limit_subject",
        "rate_limit_headers_global",
        "rate_limit_global",
        "body_1024",
        "body_65536",
        "buffer",
    ]


def test_every_route_configures_authorization() -> None:
    assert all({"jwt", "rbac"} <= route["typed_per_filter_config"].keys() for route in ROUTES)


def listeners() -> dict[str, Config]:
    return {each["name"]: each for each in edge.build_listeners(CONTRACTS, PROFILE)}


def manager(name: str) -> Config:
    config: Config = listeners()[name]["filter_chains"][0]["filters"][0]["typed_config"]
    return config


def test_plain_text_and_tls_listeners_have_the_same_routes() -> None:
    plain, tls = manager("edge"), manager("edge_tls")
    assert [each["name"] for each in plain.pop("http_filters")] == [each["name"] for each in tls.pop("http_filters")]
    assert plain == tls
    (host,) = manager("edge")["route_config"]["virtual_hosts"]
    assert host["matcher"] == build_route_matcher(ROUTES, ["/api/v1/callbacks", "/api/v1/notes"])


def test_only_the_tls_listener_has_a_certificate() -> None:
    assert "transport_socket" not in listeners()["edge"]["filter_chains"][0]
    tls = listeners()["edge_tls"]["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]
    assert tls["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_2"
    assert [each["name"] for each in tls["tls_certificate_sds_secret_configs"]] == ["edge"]


def test_http_1_options_accept_old_clients_and_no_upgrade() -> None:
    options = manager("edge")["http_protocol_options"]
    assert options["accept_http_10"] is True
    assert options["default_host_for_http_10"]
    assert options["ignore_http_11_upgrade"] == [{"safe_regex": {"regex": ".*"}}]


def test_edge_uses_the_address_and_ignores_the_headers_of_clients() -> None:
    config = manager("edge")
    assert config["use_remote_address"] is True
    assert config["forward_client_cert_details"] == "SANITIZE"
    (mutation,) = config["early_header_mutation_extensions"]
    removed: list[Any] = [each.get("remove") for each in mutation["typed_config"]["mutations"]]
    assert removed[-2:] == ["traceparent", "tracestate"]


def test_cors_policy_allows_configured_origins_and_api_methods() -> None:
    policy = edge.build_cors_policy(OPERATIONS.values())
    assert policy["allow_origin_string_match"] == [{"safe_regex": {"regex": "${ALLOWED_ORIGINS}"}}]
    methods = {operation.method for operation in OPERATIONS.values()}
    assert methods <= set(policy["allow_methods"].split(", "))
    assert {"authorization", "idempotency-key", "if-match"} <= set(policy["allow_headers"].split(", "))


def test_header_parameters_are_allowed_by_cors() -> None:
    parameters = [{"name": name, "in": "header", "schema": {}} for name in ("X-Tags", "If-Match")]
    policy = edge.build_cors_policy([replace(OPERATIONS["getNote"], parameters=parameters)])
    assert policy["allow_headers"] == f"{edge.CORS_ALLOWED_HEADERS}, x-tags"


def test_operation_of_head_precedes_the_one_of_get() -> None:
    openapi = create_openapi()
    item = openapi["paths"]["/notes/{note_id}"]
    item["head"] = {"operationId": "headNote", "tags": ["notes"], "responses": {"204": {"description": "Exists."}}}
    routes = edge.build_edge_routes(create_contracts(openapi=openapi))
    (first, *_) = (route for route in routes if matches(route["match"], "HEAD", "/api/v1/notes/1"))
    assert first["name"] == "headNote"
