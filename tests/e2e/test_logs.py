"""Whatever people and machines entrust to any operation, none of it is in any log; each request has one line."""

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

CONTRACT: dict[str, Any] = json.loads((ROOT / "generated/openapi/delivery.json").read_text())
NOBODYS = 999_999_999
PRODUCED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The trace context of a message that nobody can read."""

type Bearer = Callable[[str], dict[str, str]]


@dataclass
class Sown:
    """What was planted, the logs with how long they were before, and the trace of every request at the edge."""

    plants: SensitiveMarkers
    logs: dict[Path, int]
    traces: list[str] = field(default_factory=list)

    def lines(self, name: str) -> Iterator[str]:
        """What a process has logged since."""
        (path,) = [path for path in self.logs if path.name == f"{name}.log"]
        with path.open("rb") as log:
            log.seek(self.logs[path])
            yield from log.read().decode().splitlines()


class Sower:
    """Calls every operation, with what is planted wherever it can be."""

    def __init__(self, edge: httpx.Client, sandbox: httpx.Client, plants: SensitiveMarkers, admin: str) -> None:
        self.edge, self.sandbox, self.plants = edge, sandbox, plants
        named = {"first_name": plants.make_text("first"), "last_name": plants.make_text("last"), "phone": plants.phone}
        self.customer = User(edge, sandbox, **named, notif_token=f"push-{plants.marker}")
        self.deliverer = User(edge, sandbox, "deliverer", **named)
        as_admin = {"authorization": f"Bearer {admin}"}
        edge.put(f"/users/{self.deliverer.id}/role", json={"role": "deliverer"}, headers=as_admin).raise_for_status()
        self.tokens = {"admin": admin}
        for role, person in (("customer", self.customer), ("deliverer", self.deliverer)):
            session = person.sign_in().session
            self.tokens[role] = session["access_token"]
            plants.add_secrets(person.email, person.password, session["access_token"], session["refresh_token"])
        plants.add_secrets(admin)
        self.known: dict[str, Any] = {}

    def everywhere(self) -> None:
        """Every operation of the contract; what makes things first, what takes them away last."""
        found = [
            (method, path, operation)
            for path, item in CONTRACT["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]
        for method, path, operation in sorted(found, key=lambda each: (each[0] == "delete", "{" in each[1])):
            self.operation(method.upper(), path, operation)

    def operation(self, method: str, path: str, operation: dict[str, Any]) -> None:
        """One operation: as it should be, and wrong in several ways."""
        plants, role = self.plants, self.role(operation)
        where = re.sub(r"\{(\w+)\}", lambda found: str(self.known.get(found[1], self.nobodys(found[1]))), path)
        content = operation.get("requestBody", {}).get("content", {})
        headers = {
            "idempotency-key": plants.marker,
            "user-agent": plants.make_text("agent"),
            "cookie": f"session={plants.marker}",
            "webhook-id": f"msg_{plants.marker}",
            "webhook-timestamp": "1",
            "webhook-signature": f"v1,{plants.marker}",
        }
        token = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        if "application/json" in content:
            body = plants.generate_value(content["application/json"]["schema"])
            answer = self.send(method, where, json=body, headers=headers | token)
            if method == "POST" and answer.status_code == 201:
                self.made(path, answer.json())
            self.send(method, where, json=body | {plants.marker: plants.make_text("more")}, headers=headers | token)
            self.send(method, where, json=_ended(body), headers=headers | token)
            broken = f'{{"password": "{plants.marker}'.encode()
            self.send(method, where, content=broken, headers=headers | token | {"content-type": "application/json"})
        elif content:
            files = {"avatar" if "avatar" in path else "picture": (f"{plants.marker}.png", create_image(), "image/png")}
            self.send(method, where, files=files, headers=headers | token)
            self.send(method, where, files={plants.marker: ("x.png", plants.marker.encode())}, headers=headers | token)
        else:
            self.send(method, where, headers=headers | token)
        self.send(
            method, where, params={"q": plants.make_email("q"), plants.marker: plants.marker}, headers=headers | token
        )
        self.send(method, where, headers=headers | {"authorization": f"Bearer {plants.marker}"})
        self.send(method, re.sub(r"\{\w+\}", plants.marker, path), headers=headers | token)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; of a stream, the beginning."""
        with self.edge.stream(method, path, **options) as answer:
            if "event-stream" not in answer.headers.get("content-type", ""):
                answer.read()
        assert answer.status_code != 500, f"{method} {path}: {answer.text}"
        if answer.is_success and "webhook_secret" in answer.text:
            self.plants.add_secrets(answer.json()["webhook_secret"])
        return answer

    def role(self, operation: dict[str, Any]) -> str:
        """Who may do it; nobody in particular for what is public. What its account would not survive, others do."""
        bearer = [each["bearer"] for each in operation.get("security", []) if "bearer" in each]
        return (bearer[0] or ["customer"])[0] if bearer else ""

    def nobodys(self, name: str) -> str | int:
        """An id of nothing; of partners and products it is a number."""
        return NOBODYS if name in ("partner_id", "product_id") else self.plants.marker

    def made(self, path: str, answer: dict[str, Any]) -> None:
        """Remembers what was made."""
        names = {"/banks": "bank_id", "/partners": "partner_id", "/products": "product_id"}
        names["/notification-agents"] = "agent_id"
        if path in names:
            self.known[names[path]] = answer["id"]

    def order(self) -> str:
        """An order that is checked and confirmed, with all that a customer says of herself."""
        who = {"authorization": f"Bearer {self.tokens['customer']}"}
        plants = self.plants
        personal = {
            "delivery_address": plants.make_text("1 Long Street"),
            "customer_name": plants.make_text("name"),
            "customer_phone": plants.phone,
        }
        checked = self.edge.post("/order-checks", json=BASKET | personal, headers=who).raise_for_status().json()
        body = {"check_id": checked["check_id"]}
        confirmed = self.edge.post("/orders", json=body, headers=who).raise_for_status().json()
        callback = {"callback_url": confirmed["payment"]["callback_url"], "outcome": "pay"}
        paid = {"order_id": confirmed["order"]["id"], "amount": BASKET["total_amount"], "currency": "USD"}
        self.sandbox.post(f"/checkout/{BASKET['bank_id']}", json=paid | callback).raise_for_status()
        return str(confirmed["order"]["id"])

    def lives(self) -> None:
        """An order that is delivered, one that is cancelled, and providers that fail on the way."""
        faults = {"/push/fault": {"provider": "fcm", "mode": "unavailable", "count": 1}}
        faults |= {f"/kitchen/{BASKET['partner_id']}/fault": {"mode": "error", "count": 1}}
        for path, body in faults.items():
            self.sandbox.put(path, json=body).raise_for_status()
        delivered, cancelled = self.order(), self.order()
        ready = f"/kitchen/{BASKET['partner_id']}/orders/{delivered}/ready"
        pickup = {"pickup_address": self.plants.make_text("1 Market Square")}
        wait_until("the kitchen has it", lambda: self.sandbox.post(ready, json=pickup).is_success)
        customer, deliverer = ({"authorization": f"Bearer {self.tokens[r]}"} for r in ("customer", "deliverer"))

        def status(order: str) -> dict[str, Any]:
            found: dict[str, Any] = self.edge.get(f"/orders/{order}", headers=customer).json()
            return found

        wait_until("it is ready", lambda: status(delivered)["status"] == "ready")
        self.edge.post(f"/orders/{delivered}/assignment", headers=deliverer).raise_for_status()
        self.edge.post(f"/orders/{delivered}/delivery", headers=deliverer).raise_for_status()
        reason = {"reason": self.plants.make_text("reason")}
        self.edge.post(f"/orders/{cancelled}/cancel", json=reason, headers=customer).raise_for_status()
        wait_until("the money is back", lambda: status(cancelled)["refund_status"] == "refunded")
        for path, body in faults.items():
            self.sandbox.put(path, json=body | {"mode": "none"}).raise_for_status()

    def accounts(self) -> None:
        """What is done to an account in its life, codes and passwords included; then it is deleted."""
        plants, edge, person = self.plants, self.edge, User(self.edge, self.sandbox).sign_in()
        plants.add_secrets(person.email, person.session["access_token"], person.session["refresh_token"])
        code = person.wait_for_code()
        plants.add_secrets(code)
        person.confirm(code).raise_for_status()
        address = plants.make_email("new")
        person.request("POST", "/users/me/email", json={"email": address}).raise_for_status()
        code = person.wait_for_code(1, address)
        plants.add_secrets(code)
        person.confirm(code).raise_for_status()
        for password in (plants.make_text("pass"), plants.make_text("word")):
            body = {"old_password": person.password, "new_password": password}
            person.request("PUT", "/users/me/password", json=body).raise_for_status()
            person.password = password
        edge.post("/password-resets", json={"email": address}).raise_for_status()
        code = person.wait_for_code(2, address)
        plants.add_secrets(code)
        body = {"code": code, "password": plants.make_text("reset")}
        edge.post("/password-resets/confirm", json=body).raise_for_status()
        person.email, person.password = address, body["password"]
        edge.post("/sessions", json={"email": address, "password": plants.make_text("wrong")})
        session = person.sign_in().session
        plants.add_secrets(session["access_token"], session["refresh_token"])
        person.request("DELETE", "/users/me").raise_for_status()


def _ended(body: Any) -> Any:
    """Every text with a NUL at its end, which no database keeps."""
    match body:
        case dict():
            return {name: _ended(each) for name, each in body.items()}
        case list():
            return [_ended(each) for each in body]
        case str():
            return body + "\0"
    return body


def settled() -> bool:
    """Whether nothing is under way any more."""
    told = [sample for service in SERVICES for sample in metrics_scraping.scrape_service(service)]
    waiting = [each for each in told if each.name == "delivery_queue_messages"]
    rows = [each for each in told if each.name == "delivery_outbox_pending_events"]
    return len(rows) == len(SERVICES) and not any(each.value for each in (*waiting, *rows))


@pytest.fixture(scope="module")
def sown(mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client, bearer: Bearer) -> Sown:
    """Everything planted, everything settled, every log written."""
    files = [path for path in mesh.state_dir.rglob("*.log") if path.name != "sandbox.log"]
    made = Sown(SensitiveMarkers(CONTRACT), {path: path.stat().st_size for path in files})

    def traced(answer: httpx.Response) -> None:
        made.traces.append(answer.headers["traceresponse"].split("-")[1])

    with httpx.Client(base_url=edge.base_url, timeout=20, trust_env=False) as client:
        client.event_hooks["response"].append(traced)
        sower = Sower(client, sandbox, made.plants, bearer("admin")["authorization"].removeprefix("Bearer "))
        sower.accounts()
        sower.lives()
        sower.everywhere()
    with poison_message(
        f"poison-{made.plants.marker}", "orders.paid", made.plants.marker.encode(), traceparent=PRODUCED
    ):
        wait_until("everything is settled", settled)
    wait_until("the last line is written", lambda: any(made.traces[-1] in line for line in made.lines("gateway-envoy")))
    return made


def test_nothing_that_was_planted_is_in_any_log(sown: Sown) -> None:
    assert {"gateway", "orders-envoy", "postgres", "rabbitmq", "documents"} <= {path.stem for path in sown.logs}
    assert list(find_leaks(sown.logs, sown.plants.list_encodings())) == []


def test_a_leak_is_found(sown: Sown, tmp_path: Path) -> None:
    for number, form in enumerate(sown.plants.list_encodings()):
        path = tmp_path / f"{number}.log"
        path.write_text(f'{{"message": "signed up with {form} at once"}}\n')
        assert len(list(find_leaks({path: 0}, sown.plants.list_encodings()))) == 1


def test_every_request_has_one_access_line(sown: Sown) -> None:
    lines = [json.loads(line) for line in sown.lines("gateway-envoy")]
    count = Counter(line["trace_id"] for line in lines if line["logger"] == "access.edge")
    assert len(sown.traces) > 300
    assert {trace: count[trace] for trace in sown.traces if count[trace] != 1} == {}


def test_access_lines_name_every_operation(sown: Sown) -> None:
    named = {json.loads(line).get("operation") for line in sown.lines("gateway-envoy")}
    every = {o["operationId"] for item in CONTRACT["paths"].values() for m, o in item.items() if m != "parameters"}
    assert every <= named


@pytest.mark.parametrize("service", SERVICES)
def test_lines_have_the_fields_of_the_matrix(sown: Sown, service: str) -> None:
    wanted = EXPECTED_METRICS["logs"]
    for line in map(json.loads, sown.lines(service)):
        traced = wanted["services"]["trace"] if "trace_id" in line else []
        allowed = {*wanted["services"]["fields"], *traced}
        assert allowed <= line.keys() <= {*allowed, *wanted["services"]["more"]}
        assert line["service"] == service
    for line in map(json.loads, sown.lines(f"{service}-envoy")):
        access = line["logger"].startswith("access.")
        assert line.keys() == set(wanted["edge" if access else "envoys"]["fields"])


def test_a_failure_is_logged_with_the_trace_that_led_to_it(sown: Sown) -> None:
    (line,) = [line for line in map(json.loads, sown.lines("orders")) if "dead letter" in line["message"]]
    assert line["trace_id"] == PRODUCED.split("-")[1]
    assert line["level"] == "ERROR"
