"""Mock server of `make mock`: it validates requests, and every response that it returns conforms to the contract.

Opt-in (`make test-clients`), because it needs Prism, which no other command installs.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.conftest import ROOT
from tests.free_ports import find_free_port
from tests.wait import wait_until_process_is_ready

CONTRACT: dict[str, Any] = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "patch", "delete")
CREDENTIALS = {"authorization": "Bearer any", "webhook-signature": "v1,any"}
MULTIPART, EVENT_STREAM = "multipart/form-data", "text/event-stream"
START_TIMEOUT_S = 60


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node that a reference leads to."""
    while "$ref" in node:
        _, section, name = node["$ref"].removeprefix("#/").split("/")
        node = CONTRACT["components"][section][name]
    return node


def get_example(schema: dict[str, Any]) -> Any:
    """Return an example of a schema of a request."""
    resolved = resolve(schema)
    examples = [*resolved.get("examples", []), *resolved.get("enum", [])]
    return examples[0] if examples else {"integer": 1, "boolean": True}.get(resolved.get("type", ""), "abc")


@dataclass(frozen=True)
class Operation:
    """One operation of the contract with a valid request."""

    id: str
    method: str
    path: str
    item: Mapping[str, Any]
    raw: Mapping[str, Any]

    def get_responses(self) -> dict[str, dict[str, Any]]:
        return {status: resolve(response) for status, response in self.raw["responses"].items()}

    def build_request(self) -> dict[str, Any]:
        """Return the arguments of an httpx request."""
        parameters = [resolve(each) for each in (*self.item.get("parameters", ()), *self.raw.get("parameters", ()))]
        values = {
            (each["in"], each["name"]): str(get_example(each["schema"])) for each in parameters if each.get("required")
        }
        request: dict[str, Any] = {
            "method": self.method,
            "url": self.path.format(**{name: value for (place, name), value in values.items() if place == "path"}),
            "params": {name: value for (place, name), value in values.items() if place == "query"},
            "headers": CREDENTIALS | {name: value for (place, name), value in values.items() if place == "header"},
        }
        content = resolve(self.raw["requestBody"])["content"] if "requestBody" in self.raw else {}
        if MULTIPART in content:
            request["files"] = dict.fromkeys(content[MULTIPART]["schema"]["required"], ("a.png", b"png", "image/png"))
        elif content:
            media_type, media = next(iter(content.items()))
            request["content"] = json.dumps(media.get("example", get_example(media["schema"])))
            request["headers"] |= {"content-type": media_type}
        return request


OPERATIONS = [
    Operation(item[method]["operationId"], method, path, item, item[method])
    for path, item in CONTRACT["paths"].items()
    for method in METHODS
    if method in item
]

ERRORS = list(
    {
        json.dumps([status, response]): (operation, status)
        for operation in OPERATIONS
        for status, response in operation.get_responses().items()
        if status >= "4"
    }.values()
)
"""Different errors, each with an operation and the status."""


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a mock server that `make mock` has started."""
    port, log_path = find_free_port(), tmp_path_factory.mktemp("mock") / "log"
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["make", "mock", f"PORT={port}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    base_url = f"http://127.0.0.1:{port}/api/v1"
    try:
        wait_until_process_is_ready(process, f"{base_url}/catalog", START_TIMEOUT_S, log_path)
        with httpx.Client(base_url=base_url, trust_env=False) as client:
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@cache
def compile_schema(schema: str) -> jsonschema_rs.Validator:
    """Return the validator of a schema in JSON."""
    return jsonschema_rs.validator_for(
        json.loads(schema) | {"components": CONTRACT["components"]}, validate_formats=True
    )


def assert_conforms(response: httpx.Response, media: Mapping[str, Any]) -> None:
    """Assert that the body of a response conforms to the schema of its media type."""
    validator = compile_schema(json.dumps(media["schema"]))
    assert [error.message for error in validator.iter_errors(response.json())] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_valid_request_gets_example_that_conforms_to_the_contract(mock: httpx.Client, operation: Operation) -> None:
    response = mock.request(**operation.build_request())
    status = min(status for status in operation.get_responses() if status.startswith("2"))
    assert response.status_code == int(status), response.text
    content = operation.get_responses()[status].get("content", {})
    if "application/json" in content:
        assert_conforms(response, content["application/json"])
        assert "next_page_token" not in response.json()
    assert bool(response.content) == bool(content)


@pytest.mark.parametrize(("operation", "status"), ERRORS, ids=lambda value: getattr(value, "id", value))
def test_preferred_error_has_example_that_conforms_to_the_contract(
    mock: httpx.Client, operation: Operation, status: str
) -> None:
    request = operation.build_request()
    request["headers"] |= {"prefer": f"code={status}"}
    response = mock.request(**request)
    [(media_type, media)] = operation.get_responses()[status]["content"].items()
    assert (response.status_code, response.headers["content-type"]) == (int(status), media_type)
    assert_conforms(response, media)


@pytest.mark.parametrize("body", [{}, {"email": "ada@delivery.test"}, {"email": "a@b.test", "password": 1}])
def test_invalid_body_leads_to_400(mock: httpx.Client, body: dict[str, Any]) -> None:
    for path in ("/sessions", "/users"):  # only the second one has a response 422
        response = mock.post(path, json=body)
        assert response.status_code == 400
        assert response.json()["reason"] == "INVALID_REQUEST"


def test_request_without_token_leads_to_401(mock: httpx.Client) -> None:
    response = mock.get("/users/me")
    assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED")


def test_violated_rule_is_selected_by_its_reason(mock: httpx.Client) -> None:
    operation = next(each for each in OPERATIONS if each.id == "checkOrder")
    request = operation.build_request()
    request["headers"] |= {"prefer": "code=422, example=TOTAL_MISMATCH"}
    response = mock.request(**request)
    assert (response.status_code, response.json()["reason"]) == (422, "TOTAL_MISMATCH")


def test_stream_contains_event_with_final_status(mock: httpx.Client) -> None:
    headers = CREDENTIALS | {"accept": EVENT_STREAM}
    response = mock.get("/orders/o-1/events", headers=headers)
    assert response.headers["content-type"].startswith(EVENT_STREAM)
    identifier, data, *end = response.text.split("\n")
    assert (identifier, end) == ("id: 1", ["", ""])
    assert json.loads(data.removeprefix("data: "))["status"] == "delivered"


def test_browsers_of_other_origins_may_call(mock: httpx.Client) -> None:
    response = mock.get("/catalog", headers={"origin": "http://localhost:5173"})
    assert response.headers["access-control-allow-origin"] in ("*", "http://localhost:5173")
