"""Fuzz test of the public API: valid and invalid requests to every operation must conform to the contract."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, Mesh
from tests.fuzz.schemathesis_runner import run_schemathesis
from tests.users import User

DEMO_ROLES = ("admin", "customer", "deliverer")
SELF_DESTRUCTIVE = ("deleteProfile", "changePassword", "signOut")
"""Operations that delete or lock the account that calls them."""


def get_roles_by_operation(contract: dict[str, Any]) -> dict[str, list[str]]:
    """Return the authorized roles, or "signed", by operationId, without public operations.

    Orders are called as customer or admin: a deliverer without an assignment gets 404.
    """
    roles_by_operation: dict[str, list[str]] = {}
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or not operation.get("security"):
                continue
            schemes = {scheme for alternative in operation["security"] for scheme in alternative}
            roles = [role for alternative in operation["security"] for role in alternative.get("bearer", [])]
            owners = [role for role in roles if role != "deliverer" or "{order_id}" not in path]
            roles_by_operation[operation["operationId"]] = (
                ["signed"] if "webhook" in schemes else owners or roles or ["customer"]
            )
    return roles_by_operation


def find_account_id(edge: httpx.Client, header: dict[str, str], email: str) -> str:
    """Return the id of the account with an e-mail address."""
    accounts = edge.get("/users", params={"q": email}, headers=header).json()["items"]
    return str(accounts[0]["id"])


@pytest.fixture
def environment(mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client) -> dict[str, str]:
    contract = httpx.get(f"{mesh.edge_url}/openapi.json", trust_env=False).json()
    admin = edge.post("/sessions", json={"email": "admin@delivery.test", "password": "delivery-demo-1"}).json()
    tokens = {"admin": admin["access_token"]}
    users = {name: User(edge, sandbox).sign_in() for name in ("customer", *SELF_DESTRUCTIVE)}
    tokens |= {name: user.session["access_token"] for name, user in users.items()}
    deliverer = User(edge, sandbox, "deliverer")
    header = {"authorization": f"Bearer {tokens['admin']}"}
    edge.put(f"/users/{deliverer.id}/role", json={"role": "deliverer"}, headers=header)
    tokens["deliverer"] = deliverer.sign_in().session["access_token"]
    protected = [
        deliverer.id,
        users["customer"].id,
        *(find_account_id(edge, header, f"{role}@delivery.test") for role in DEMO_ROLES),
    ]
    return {
        **os.environ,
        "EDGE": mesh.edge_url,
        "FUZZ_TOKENS": json.dumps(tokens),
        "FUZZ_PROTECTED": json.dumps(protected),
        "FUZZ_SECURITY": json.dumps(get_roles_by_operation(contract)),
        "FUZZ_SECRET": (mesh.state_dir / "secrets/demo-webhook.secret").read_text(encoding="utf-8"),
        "PYTHONPATH": str(ROOT),
    }


@pytest.mark.timeout(300 + int(os.environ.get("FUZZ_SECONDS", "0")))
def test_operations_conform_to_contract(environment: dict[str, str], tmp_path: Path) -> None:
    report_dir = os.environ.get("FUZZ_REPORTS", str(tmp_path))
    options = [
        "--max-examples",
        os.environ.get("FUZZ_EXAMPLES", "12"),
        "--report=junit,har",
        "--report-dir",
        report_dir,
    ]
    if "FUZZ_SECONDS" in os.environ:
        options += ["--max-time", os.environ["FUZZ_SECONDS"]]
    if "FUZZ_SEED" in os.environ:
        options += ["--seed", os.environ["FUZZ_SEED"]]
    run_schemathesis(f"{environment['EDGE']}/openapi.json", environment, tmp_path, *options)


@pytest.mark.timeout(300)
def test_requests_of_previous_release_are_supported(environment: dict[str, str], tmp_path: Path) -> None:
    """Examples and limits of the last released contract are tested against the current system."""
    released = ROOT / "api-specs/released/openapi/delivery.yaml"
    run_schemathesis(str(released), environment, tmp_path, "--phases=examples,coverage")
