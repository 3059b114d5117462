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

from deploy.local.scenarios import BASKET
from tests import scrapes
from tests.conftest import ROOT, Mesh
from tests.people import Person, picture, until
from tests.plants import Plants, leaks
from tests.poison import poisoned
from tests.scrapes import MATRIX, SERVICES

CONTRACT: dict[str, Any] = json.loads((ROOT / "generated/openapi/delivery.json").read_text())
NOBODYS = 999_999_999
PRODUCED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The trace context of a message that nobody can read."""

type Bearer = Callable[[str], dict[str, str]]


@dataclass
class Sown:
    """What was planted, the logs with how long they were before, and the trace of every request at the edge."""

    plants: Plants
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

    def __init__(self, edge: httpx.Client, sandbox: httpx.Client, plants: Plants, admin: str) -> None:
        self.edge, self.sandbox, self.plants = edge, sandbox, plants
        named = {"first_name": plants.text("first"), "last_name": plants.text("last"), "phone": plants.phone}
        self.customer = Person(edge, sandbox, **named, notif_token=f"push-{plants.mark}")
        self.deliverer = Person(edge, sandbox, "deliverer", **named)
        as_admin = {"authorization": f"Bearer {admin}"}
        edge.put(f"/users/{self.deliverer.id}/role", json={"role": "deliverer"}, headers=as_admin).raise_for_status()
        self.tokens = {"admin": admin}
        for role, person in (("customer", self.customer), ("deliverer", self.deliverer)):
            session = person.sign_in().session
            self.tokens[role] = session["access_token"]
            plants.keep(person.email, person.password, session["access_token"], session["refresh_token"])
        plants.keep(admin)
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
            "idempotency-key": plants.mark,
            "user-agent": plants.text("agent"),
            "cookie": f"session={plants.mark}",
            "webhook-id": f"msg_{plants.mark}",
            "webhook-timestamp": "1",
            "webhook-signature": f"v1,{plants.mark}",
        }
        token = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        if "application/json" in content:
            body = plants.fill(content["application/json"]["schema"])
            answer = self.send(method, where, json=body, headers=headers | token)
            if method == "POST" and answer.status_code == 201:
                self.made(path, answer.json())
            self.send(method, where, json=body | {plants.mark: plants.text("more")}, headers=headers | token)
            self.send(method, where, json=_ended(body), headers=headers | token)
            broken = f'{{"password": "{plants.mark}'.encode()
            self.send(method, where, content=broken, headers=headers | token | {"content-type": "application/json"})
        elif content:
            files = {"avatar" if "avatar" in path else "picture": (f"{plants.mark}.png", picture(), "image/png")}
            self.send(method, where, files=files, headers=headers | token)
            self.send(method, where, files={plants.mark: ("x.png", plants.mark.encode())}, headers=headers | token)
        else:
            self.send(method, where, headers=headers | token)
        self.send(method, where, params={"q": plants.email("q"), plants.mark: plants.mark}, headers=headers | token)
        self.send(method, where, headers=headers | {"authorization": f"Bearer {plants.mark}"})
        self.send(method, re.sub(r"\{\w+\}", plants.mark, path), headers=headers | token)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; of a stream, the beginning."""
        with self.edge.stream(method, path, **options) as answer:
            if "event-stream" not in answer.headers.get("content-type", ""):
                answer.read()
        assert answer.status_code != 500, f"{method} {path}: {answer.text}"
        if answer.is_success and "webhook_secret" in answer.text:
            self.plants.keep(answer.json()["webhook_secret"])
        return answer

    def role(self, operation: dict[str, Any]) -> str:
        """Who may do it; nobody in particular for what is public. What its account would not survive, others do."""
        bearer = [each["bearer"] for each in operation.get("security", []) if "bearer" in each]
        return (bearer[0] or ["customer"])[0] if bearer else ""

    def nobodys(self, name: str) -> str | int:
        """An id of nothing; of partners and products it is a number."""
        return NOBODYS if name in ("partner_id", "product_id") else self.plants.mark

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
            "delivery_address": plants.text("1 Long Street"),
            "customer_name": plants.text("name"),
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
        pickup = {"pickup_address": self.plants.text("1 Market Square")}
        until("the kitchen has it", lambda: self.sandbox.post(ready, json=pickup).is_success)
        customer, deliverer = ({"authorization": f"Bearer {self.tokens[r]}"} for r in ("customer", "deliverer"))

        def status(order: str) -> dict[str, Any]:
            found: dict[str, Any] = self.edge.get(f"/orders/{order}", headers=customer).json()
            return found

        until("it is ready", lambda: status(delivered)["status"] == "ready")
        self.edge.post(f"/orders/{delivered}/assignment", headers=deliverer).raise_for_status()
        self.edge.post(f"/orders/{delivered}/delivery", headers=deliverer).raise_for_status()
        reason = {"reason": self.plants.text("reason")}
        self.edge.post(f"/orders/{cancelled}/cancel", json=reason, headers=customer).raise_for_status()
        until("the money is back", lambda: status(cancelled)["refund_status"] == "refunded")
        for path, body in faults.items():
            self.sandbox.put(path, json=body | {"mode": "none"}).raise_for_status()

    def accounts(self) -> None:
        """What is done to an account in its life, codes and passwords included; then it is deleted."""
        plants, edge, person = self.plants, self.edge, Person(self.edge, self.sandbox).sign_in()
        plants.keep(person.email, person.session["access_token"], person.session["refresh_token"])
        code = person.code()
        plants.keep(code)
        person.confirm(code).raise_for_status()
        address = plants.email("new")
        person.call("POST", "/users/me/email", json={"email": address}).raise_for_status()
        code = person.code(1, address)
        plants.keep(code)
        person.confirm(code).raise_for_status()
        for password in (plants.text("pass"), plants.text("word")):
            body = {"old_password": person.password, "new_password": password}
            person.call("PUT", "/users/me/password", json=body).raise_for_status()
            person.password = password
        edge.post("/password-resets", json={"email": address}).raise_for_status()
        code = person.code(2, address)
        plants.keep(code)
        body = {"code": code, "password": plants.text("reset")}
        edge.post("/password-resets/confirm", json=body).raise_for_status()
        person.email, person.password = address, body["password"]
        edge.post("/sessions", json={"email": address, "password": plants.text("wrong")})
        session = person.sign_in().session
        plants.keep(session["access_token"], session["refresh_token"])
        person.call("DELETE", "/users/me").raise_for_status()


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
    told = [sample for service in SERVICES for sample in scrapes.app(service)]
    waiting = [each for each in told if each.name == "delivery_queue_messages"]
    rows = [each for each in told if each.name == "delivery_outbox_rows"]
    return len(rows) == len(SERVICES) and not any(each.value for each in (*waiting, *rows))


@pytest.fixture(scope="module")
def sown(mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client, bearer: Bearer) -> Sown:
    """Everything planted, everything settled, every log written."""
    files = [path for path in mesh.state.rglob("*.log") if path.name != "sandbox.log"]
    made = Sown(Plants(CONTRACT), {path: path.stat().st_size for path in files})

    def traced(answer: httpx.Response) -> None:
        made.traces.append(answer.headers["traceresponse"].split("-")[1])

    with httpx.Client(base_url=edge.base_url, timeout=20, trust_env=False) as client:
        client.event_hooks["response"].append(traced)
        sower = Sower(client, sandbox, made.plants, bearer("admin")["authorization"].removeprefix("Bearer "))
        sower.accounts()
        sower.lives()
        sower.everywhere()
    with poisoned(f"poison-{made.plants.mark}", "orders.paid", made.plants.mark.encode(), traceparent=PRODUCED):
        until("everything is settled", settled)
    until("the last line is written", lambda: any(made.traces[-1] in line for line in made.lines("gateway-envoy")))
    return made


def test_nothing_that_was_planted_is_in_any_log(sown: Sown) -> None:
    assert {"gateway", "orders-envoy", "postgres", "rabbitmq", "documents"} <= {path.stem for path in sown.logs}
    assert list(leaks(sown.logs, sown.plants.forms())) == []


def test_a_leak_is_found(sown: Sown, tmp_path: Path) -> None:
    for number, form in enumerate(sown.plants.forms()):
        path = tmp_path / f"{number}.log"
        path.write_text(f'{{"message": "signed up with {form} at once"}}\n')
        assert len(list(leaks({path: 0}, sown.plants.forms()))) == 1


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
    wanted = MATRIX["logs"]
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
