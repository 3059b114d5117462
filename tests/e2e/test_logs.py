"""Logs contain no sensitive data of any operation, and one access log line per request."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.demo.scenarios import BASKET
from tests import metrics_scraping
from tests.conftest import ROOT, Mesh
from tests.metrics_scraping import EXPECTED_METRICS, SERVICES
from tests.poison_message import poison_message
from tests.sensitive_markers import SensitiveMarkers, find_leaks
from tests.users import User, create_image
from tests.wait import wait_until

CONTRACT: dict[str, Any] = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
UNKNOWN_ID = 999_999_999
PRODUCER_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""Trace context of the poison message."""

type Bearer = Callable[[str], dict[str, str]]


@dataclass
class MarkedRun:
    """The sensitive markers, the logs with their size before the run, and the trace of every request."""

    markers: SensitiveMarkers
    logs: dict[Path, int]
    traces: list[str] = field(default_factory=list)

    def read_lines(self, name: str) -> Iterator[str]:
        """Yield the lines that a process has logged during the run."""
        (path,) = [path for path in self.logs if path.name == f"{name}.log"]
        with path.open("rb") as log:
            log.seek(self.logs[path])
            yield from log.read().decode().splitlines()


class MarkedClient:
    """Calls every operation with sensitive markers in all values."""

    def __init__(self, edge: httpx.Client, sandbox: httpx.Client, markers: SensitiveMarkers, admin: str) -> None:
        self.edge, self.sandbox, self.markers = edge, sandbox, markers
        profile = {
            "first_name": markers.make_text("first"),
            "last_name": markers.make_text("last"),
            "phone": markers.phone,
        }
        self.customer = User(edge, sandbox, **profile, notif_token=f"push-{markers.marker}")
        self.deliverer = User(edge, sandbox, "deliverer", **profile)
        admin_headers = {"authorization": f"Bearer {admin}"}
        edge.put(
            f"/users/{self.deliverer.id}/role", json={"role": "deliverer"}, headers=admin_headers
        ).raise_for_status()
        self.tokens = {"admin": admin}
        for role, user in (("customer", self.customer), ("deliverer", self.deliverer)):
            session = user.sign_in().session
            self.tokens[role] = session["access_token"]
            markers.add_secrets(user.email, user.password, session["access_token"], session["refresh_token"])
        markers.add_secrets(admin)
        self.path_parameters: dict[str, Any] = {}

    def call_all_operations(self) -> None:
        """Call every operation of the contract: operations that create resources first, deletions last."""
        all_operations = [
            (method, path, operation)
            for path, item in CONTRACT["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]
        for method, path, operation in sorted(all_operations, key=lambda each: (each[0] == "delete", "{" in each[1])):
            self.call_operation(method.upper(), path, operation)

    def call_operation(self, method: str, path: str, operation: dict[str, Any]) -> None:
        """Call an operation with a valid request and several invalid ones."""
        markers, role = self.markers, self.get_role(operation)
        url = re.sub(
            r"\{(\w+)\}", lambda match: str(self.path_parameters.get(match[1], self.get_unknown_id(match[1]))), path
        )
        content = operation.get("requestBody", {}).get("content", {})
        headers = {
            "idempotency-key": markers.marker,
            "user-agent": markers.make_text("agent"),
            "cookie": f"session={markers.marker}",
            "webhook-id": f"msg_{markers.marker}",
            "webhook-timestamp": "1",
            "webhook-signature": f"v1,{markers.marker}",
        }
        token = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        if "application/json" in content:
            body = markers.generate_value(content["application/json"]["schema"])
            response = self.send(method, url, json=body, headers=headers | token)
            if method == "POST" and response.status_code == 201:
                self.store_id(path, response.json())
            self.send(method, url, json=body | {markers.marker: markers.make_text("more")}, headers=headers | token)
            self.send(method, url, json=_append_nul(body), headers=headers | token)
            malformed = f'{{"password": "{markers.marker}'.encode()
            self.send(method, url, content=malformed, headers=headers | token | {"content-type": "application/json"})
        elif content:
            files = {
                "avatar" if "avatar" in path else "picture": (f"{markers.marker}.png", create_image(), "image/png")
            }
            self.send(method, url, files=files, headers=headers | token)
            self.send(method, url, files={markers.marker: ("x.png", markers.marker.encode())}, headers=headers | token)
        else:
            self.send(method, url, headers=headers | token)
        self.send(
            method, url, params={"q": markers.make_email("q"), markers.marker: markers.marker}, headers=headers | token
        )
        self.send(method, url, headers=headers | {"authorization": f"Bearer {markers.marker}"})
        self.send(method, re.sub(r"\{\w+\}", markers.marker, path), headers=headers | token)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request. The response is read, unless it is an event stream."""
        with self.edge.stream(method, path, **options) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                response.read()
        assert response.status_code != 500, f"{method} {path}: {response.text}"
        if response.is_success and "webhook_secret" in response.text:
            self.markers.add_secrets(response.json()["webhook_secret"])
        return response

    def get_role(self, operation: dict[str, Any]) -> str:
        """Return the first authorized role, or an empty text for a public operation."""
        bearer = [each["bearer"] for each in operation.get("security", []) if "bearer" in each]
        return (bearer[0] or ["customer"])[0] if bearer else ""

    def get_unknown_id(self, name: str) -> str | int:
        """Return the id of no resource: a number for partners and products, otherwise the marker."""
        return UNKNOWN_ID if name in ("partner_id", "product_id") else self.markers.marker

    def store_id(self, path: str, resource: dict[str, Any]) -> None:
        """Store the id of a created resource as path parameter."""
        names = {"/banks": "bank_id", "/partners": "partner_id", "/products": "product_id"}
        names["/notification-agents"] = "agent_id"
        if path in names:
            self.path_parameters[names[path]] = resource["id"]

    def create_order(self) -> str:
        """Check, confirm and pay an order with personal data of the customer. Return its id."""
        headers = {"authorization": f"Bearer {self.tokens['customer']}"}
        markers = self.markers
        personal = {
            "delivery_address": markers.make_text("1 Long Street"),
            "customer_name": markers.make_text("name"),
            "customer_phone": markers.phone,
            "address": {
                "street": markers.make_text("1 Long Street"),
                "city": markers.make_text("city"),
                "country": "US",
            },
            "note": markers.make_text("note"),
        }
        checked = self.edge.post("/order-checks", json=BASKET | personal, headers=headers).raise_for_status().json()
        body = {"check_id": checked["check_id"]}
        confirmed = self.edge.post("/orders", json=body, headers=headers).raise_for_status().json()
        callback = {"callback_url": confirmed["payment"]["callback_url"], "outcome": "pay"}
        paid = {"order_id": confirmed["order"]["id"], "amount": BASKET["total_amount"], "currency": "USD"}
        self.sandbox.post(f"/checkout/{BASKET['bank_id']}", json=paid | callback).raise_for_status()
        return str(confirmed["order"]["id"])

    def run_order_lifecycles(self) -> None:
        """Deliver an order and cancel another one, with temporary failures of the providers."""
        faults = {"/push/fault": {"provider": "fcm", "mode": "unavailable", "count": 1}}
        faults |= {f"/kitchen/{BASKET['partner_id']}/fault": {"mode": "error", "count": 1}}
        for path, body in faults.items():
            self.sandbox.put(path, json=body).raise_for_status()
        delivered, cancelled = self.create_order(), self.create_order()
        ready = f"/kitchen/{BASKET['partner_id']}/orders/{delivered}/ready"
        pickup = {"pickup_address": self.markers.make_text("1 Market Square")}
        wait_until(
            lambda: self.sandbox.post(ready, json=pickup).is_success, description="partner has received the order"
        )
        customer, deliverer = ({"authorization": f"Bearer {self.tokens[role]}"} for role in ("customer", "deliverer"))

        def get_order(order_id: str) -> dict[str, Any]:
            order: dict[str, Any] = self.edge.get(f"/orders/{order_id}", headers=customer).json()
            return order

        wait_until(lambda: get_order(delivered)["status"] == "ready", description="order is ready")
        self.edge.post(f"/orders/{delivered}/assignment", headers=deliverer).raise_for_status()
        position = self.markers.make_coordinates()
        path = f"/orders/{delivered}/deliverer-position"
        self.edge.put(path, json=position, headers=deliverer).raise_for_status()
        self.edge.post(f"/orders/{delivered}/delivery", headers=deliverer).raise_for_status()
        reason = {"reason": self.markers.make_text("reason")}
        self.edge.post(f"/orders/{cancelled}/cancel", json=reason, headers=customer).raise_for_status()
        wait_until(lambda: get_order(cancelled)["refund_status"] == "refunded", description="refund is completed")
        for path, body in faults.items():
            self.sandbox.put(path, json=body | {"mode": "none"}).raise_for_status()

    def run_account_lifecycle(self) -> None:
        """Use all account operations, with codes and passwords, then delete the account."""
        markers, edge, user = self.markers, self.edge, User(self.edge, self.sandbox).sign_in()
        markers.add_secrets(user.email, user.session["access_token"], user.session["refresh_token"])
        code = user.wait_for_code()
        markers.add_secrets(code)
        user.confirm(code).raise_for_status()
        address = markers.make_email("new")
        user.request("POST", "/users/me/email", json={"email": address}).raise_for_status()
        code = user.wait_for_code(1, address)
        markers.add_secrets(code)
        user.confirm(code).raise_for_status()
        user.email = address
        for password in (markers.make_text("pass"), markers.make_text("word")):
            body = {"old_password": user.password, "new_password": password}
            user.request("PUT", "/users/me/password", json=body).raise_for_status()
            user.password = password
            session = user.sign_in().session
            markers.add_secrets(session["access_token"], session["refresh_token"])
        edge.post("/password-resets", json={"email": address}).raise_for_status()
        code = user.wait_for_code(2, address)
        markers.add_secrets(code)
        body = {"code": code, "password": markers.make_text("reset")}
        edge.post("/password-resets/confirm", json=body).raise_for_status()
        user.password = body["password"]
        edge.post("/sessions", json={"email": address, "password": markers.make_text("wrong")})
        session = user.sign_in().session
        markers.add_secrets(session["access_token"], session["refresh_token"])
        user.request("DELETE", "/users/me").raise_for_status()


def _append_nul(body: Any) -> Any:
    """Append NUL to every text. PostgreSQL rejects it."""
    match body:
        case dict():
            return {name: _append_nul(each) for name, each in body.items()}
        case list():
            return [_append_nul(each) for each in body]
        case str():
            return body + "\0"
    return body


def is_settled() -> bool:
    """Return whether all queues and outboxes are empty."""
    samples = [sample for service in SERVICES for sample in metrics_scraping.scrape_service(service)]
    messages = [sample for sample in samples if sample.name == "delivery_queue_messages"]
    events = [sample for sample in samples if sample.name == "delivery_outbox_pending_events"]
    return len(events) == len(SERVICES) and not any(sample.value for sample in (*messages, *events))


@pytest.fixture(scope="module")
def marked_run(mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client, bearer: Bearer) -> MarkedRun:
    """Send all requests with markers, and wait until events are processed and logs written."""
    # Not those of other meshes of the tests, whose folders are below.
    files = [path for folder in ("logs", "rabbitmq/log") for path in (mesh.state_dir / folder).glob("*.log")]
    files = [path for path in files if path.name != "sandbox.log"]
    run = MarkedRun(SensitiveMarkers(CONTRACT), {path: path.stat().st_size for path in files})

    def record_trace(response: httpx.Response) -> None:
        run.traces.append(response.headers["traceresponse"].split("-")[1])

    with httpx.Client(base_url=edge.base_url, timeout=20, trust_env=False) as client:
        client.event_hooks["response"].append(record_trace)
        marked_client = MarkedClient(
            client, sandbox, run.markers, bearer("admin")["authorization"].removeprefix("Bearer ")
        )
        marked_client.run_account_lifecycle()
        marked_client.run_order_lifecycles()
        marked_client.call_all_operations()
    with poison_message(
        f"poison-{run.markers.marker}", "orders.paid", run.markers.marker.encode(), traceparent=PRODUCER_TRACEPARENT
    ):
        wait_until(is_settled, description="all events are processed")
    wait_until(
        lambda: any(run.traces[-1] in line for line in run.read_lines("gateway-envoy")),
        description="last access log line is written",
    )
    return run


def test_sensitive_markers_do_not_appear_in_logs(marked_run: MarkedRun) -> None:
    assert {"gateway", "orders-envoy", "postgres", "rabbitmq", "documents"} <= {path.stem for path in marked_run.logs}
    assert list(find_leaks(marked_run.logs, marked_run.markers.list_encodings())) == []


def test_leak_detector_finds_every_encoding(marked_run: MarkedRun, tmp_path: Path) -> None:
    for number, text in enumerate(marked_run.markers.list_encodings()):
        path = tmp_path / f"{number}.log"
        path.write_text(f'{{"message": "signed up with {text} successfully"}}\n', encoding="utf-8")
        assert len(list(find_leaks({path: 0}, marked_run.markers.list_encodings()))) == 1


def test_every_request_has_one_access_log_line(marked_run: MarkedRun) -> None:
    lines = [json.loads(line) for line in marked_run.read_lines("gateway-envoy")]
    line_counts = Counter(line["trace_id"] for line in lines if line["logger"] == "access.edge")
    assert len(marked_run.traces) > 300
    assert {trace: line_counts[trace] for trace in marked_run.traces if line_counts[trace] != 1} == {}


def test_access_log_contains_every_operation(marked_run: MarkedRun) -> None:
    logged = {json.loads(line).get("operation") for line in marked_run.read_lines("gateway-envoy")}
    operations = {
        operation["operationId"]
        for item in CONTRACT["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert operations <= logged


@pytest.mark.parametrize("service", SERVICES)
def test_log_lines_have_expected_fields(marked_run: MarkedRun, service: str) -> None:
    expected = EXPECTED_METRICS["logs"]
    for line in map(json.loads, marked_run.read_lines(service)):
        trace_fields = expected["services"]["trace"] if "trace_id" in line else []
        required = {*expected["services"]["fields"], *trace_fields}
        assert required <= line.keys() <= {*required, *expected["services"]["optional"]}
        assert line["service"] == service
    for line in map(json.loads, marked_run.read_lines(f"{service}-envoy")):
        is_access_log = line["logger"].startswith("access.")
        assert line.keys() == set(expected["edge" if is_access_log else "envoys"]["fields"])


def test_failure_is_logged_with_trace_of_producer(marked_run: MarkedRun) -> None:
    (line,) = [line for line in map(json.loads, marked_run.read_lines("orders")) if "dead-lettered" in line["message"]]
    assert line["trace_id"] == PRODUCER_TRACEPARENT.split("-")[1]
    assert line["level"] == "ERROR"
