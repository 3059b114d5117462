"""Effects of `deprecated: true` in the contract: headers that the edge sends and the published document describes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from codegen import envoy
from codegen.contracts import HTTP_METHODS, Contracts
from codegen.rest.published_openapi import publish_document
from codegen.typescript.types import generate_types
from tests.changed_contracts import find_operation, with_change
from tests.envoy_test_mesh import running_echo_server
from tests.envoys import build_settings, issue_certificates, running_envoy

DATES = {"deprecated": True, "x-deprecated-since": "2026-12-01", "x-sunset": "2027-06-01"}
HEADERS = {"deprecation": "@1796083200", "sunset": "Tue, 01 Jun 2027 00:00:00 GMT"}
DEPRECATED = ("signIn", "getProfile")


@pytest.fixture(scope="module")
def changed() -> Contracts:
    """Return the contracts with a public and a protected operation that are deprecated."""

    def deprecate(document: dict[str, Any]) -> None:
        for operation_id in DEPRECATED:
            find_operation(document, operation_id).update(DATES)

    return with_change(deprecate)


@pytest.fixture(scope="module")
def edge(changed: Contracts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run the edge of the changed contracts in front of an echo server. Yields its client."""
    folder = tmp_path_factory.mktemp("deprecated")
    for name, content in envoy.generate(changed).items():
        path = folder / "generated" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content), encoding="utf-8")
    issue_certificates(folder)
    settings = build_settings(folder)
    with pytest.MonkeyPatch.context() as patch, running_echo_server(Path(settings["RUN_DIR"]) / "gateway.sock"):
        patch.setattr("deploy.render_bootstrap.BOOTSTRAPS_DIR", folder / "generated/envoy")
        with running_envoy(folder, "gateway", settings):
            url = f"http://127.0.0.1:{settings['EDGE_PORT']}/api/v1"
            with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
                yield client


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/sessions", 200), ("GET", "/users/me", 401), ("HEAD", "/users/me", 401)]
)
def test_edge_sends_deprecation_headers(edge: httpx.Client, method: str, path: str, status: int) -> None:
    response = edge.request(method, path)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["/orders", "/nothing"])
def test_edge_sends_no_deprecation_headers_elsewhere(edge: httpx.Client, path: str) -> None:
    assert not HEADERS.keys() & edge.get(path).headers.keys()


def test_browsers_may_read_the_deprecation_headers(edge: httpx.Client) -> None:
    response = edge.post("/sessions", headers={"origin": "http://localhost:5173"})
    exposed = {name.strip().lower() for name in response.headers["access-control-expose-headers"].split(",")}
    assert HEADERS.keys() <= exposed


def test_published_document_describes_the_deprecation_headers(changed: Contracts) -> None:
    published = publish_document(changed.openapi["delivery"])
    OpenAPIV31SpecValidator(published).validate()
    operations = [item[method] for item in published["paths"].values() for method in HTTP_METHODS if method in item]
    for operation in operations:
        for response in operation["responses"].values():
            examples = {
                name.lower(): header["schema"]["examples"]
                for name, header in response.get("headers", {}).items()
                if name.lower() in HEADERS
            }
            expected = {name: [value] for name, value in HEADERS.items()}
            assert examples == (expected if operation["operationId"] in DEPRECATED else {})
        assert not {"x-deprecated-since", "x-sunset"} & operation.keys()


def test_typescript_client_marks_deprecated_operations(changed: Contracts) -> None:
    assert generate_types(publish_document(changed.openapi["delivery"])).count("@deprecated") == len(DEPRECATED)
