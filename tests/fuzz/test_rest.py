"""Every operation is called with what the contract allows and with what it does not, and answers as it says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, Mesh
from tests.users import User

DEMO = ("admin", "customer", "deliverer")
DOOMED = ("deleteProfile", "changePassword")
"""Operations that their account would not survive."""


def security(contract: dict[str, Any]) -> dict[str, list[str]]:
    """By operationId: who may call it, or "signed"; public operations are left out.

    An order is its customer's and admins': a deliverer to whom it is not assigned would be told that there is none.
    """
    found: dict[str, list[str]] = {}
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or not operation.get("security"):
                continue
            schemes = {scheme for alternative in operation["security"] for scheme in alternative}
            roles = [role for alternative in operation["security"] for role in alternative.get("bearer", [])]
            owners = [role for role in roles if role != "deliverer" or "{order_id}" not in path]
            found[operation["operationId"]] = ["signed"] if "webhook" in schemes else owners or roles or ["customer"]
    return found


def account_id(edge: httpx.Client, header: dict[str, str], email: str) -> str:
    """The id of the account of an address."""
    found = edge.get("/users", params={"q": email}, headers=header).json()["items"]
    return str(found[0]["id"])


@pytest.fixture
def environment(mesh: Mesh, edge: httpx.Client, sandbox: httpx.Client) -> dict[str, str]:
    contract = httpx.get(f"{mesh.edge_url}/openapi.json", trust_env=False).json()
    admin = edge.post("/sessions", json={"email": "admin@delivery.test", "password": "delivery-demo-1"}).json()
    tokens = {"admin": admin["access_token"]}
    for name in ("customer", *DOOMED):
        tokens[name] = User(edge, sandbox).sign_in().session["access_token"]
    deliverer = User(edge, sandbox, "deliverer")
    header = {"authorization": f"Bearer {tokens['admin']}"}
    edge.put(f"/users/{deliverer.id}/role", json={"role": "deliverer"}, headers=header)
    tokens["deliverer"] = deliverer.sign_in().session["access_token"]
    protected = [deliverer.id, *(account_id(edge, header, f"{role}@delivery.test") for role in DEMO)]
    return {
        **os.environ,
        "EDGE": mesh.edge_url,
        "FUZZ_TOKENS": json.dumps(tokens),
        "FUZZ_PROTECTED": json.dumps(protected),
        "FUZZ_SECURITY": json.dumps(security(contract)),
        "FUZZ_SECRET": (mesh.state_dir / "secrets/demo-webhook.secret").read_text(),
        "PYTHONPATH": str(ROOT),
    }


def attack(contract: str, environment: dict[str, str], folder: Path, *options: str) -> None:
    """Calls every operation of a contract, which is a path or a URL."""
    settings = (ROOT / "tests/fuzz/schemathesis.toml").read_text()
    if "--seed" in options:
        settings = settings.replace("deterministic = true", "deterministic = false")
    configuration = folder / "schemathesis.toml"
    configuration.write_text(settings)
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", configuration, "run", contract, "--no-color", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]


@pytest.mark.timeout(300 + int(os.environ.get("FUZZ_SECONDS", "0")))
def test_the_mesh_keeps_its_contract(environment: dict[str, str], tmp_path: Path) -> None:
    reports = os.environ.get("FUZZ_REPORTS", str(tmp_path))
    options = ["--max-examples", os.environ.get("FUZZ_EXAMPLES", "12"), "--report=junit,har", "--report-dir", reports]
    if "FUZZ_SECONDS" in os.environ:
        options += ["--max-time", os.environ["FUZZ_SECONDS"]]
    if "FUZZ_SEED" in os.environ:
        options += ["--seed", os.environ["FUZZ_SEED"]]
    attack(f"{environment['EDGE']}/openapi.json", environment, tmp_path, *options)


@pytest.mark.timeout(300)
def test_who_knows_the_last_release_alone_is_served_as_it_says(environment: dict[str, str], tmp_path: Path) -> None:
    """Its examples and bounds, on the databases of now."""
    released = ROOT / "api-specs/released/openapi/delivery.yaml"
    attack(str(released), environment, tmp_path, "--phases=examples,coverage")
