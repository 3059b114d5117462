"""The generated bootstraps: Envoy takes each of them, and our own lint finds what Envoy would not."""

import copy
import re
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen import contracts
from codegen.contracts import Contracts
from codegen.envoy import lint
from codegen.operations import operations
from deploy.local.pki import Authority
from deploy.local.state import ROOT

BOOTSTRAPS = sorted((ROOT / "generated/envoy").glob("*/*.yaml"))


@pytest.fixture(scope="module")
def source() -> Contracts:
    return contracts.load(ROOT)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Authority(folder).ensure()
    return folder


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_envoy_takes_it(path: Path, pki: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "envoy/mesh.yaml").read_text())["settings"]
    values = {name: str(entry.get("default", "")) for name, entry in settings.items()}
    values |= {"RUN_DIR": str(tmp_path), "PKI_DIR": str(pki), "ALLOWED_ORIGINS": "http://localhost:3000"}
    text = string.Template(re.sub(r"^#.*\n", "", path.read_text())).substitute(values)
    rendered = tmp_path / "envoy.yaml"
    rendered.write_text(text)
    envoy = Path(sys.executable).with_name("envoy")
    done = subprocess.run(
        [envoy, "--mode", "validate", "-c", rendered, "--log-level", "error"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_production_has_no_door_for_operators() -> None:
    production = [path for path in BOOTSTRAPS if path.parent.name == "production"]
    assert {path.stem for path in production} == {"gateway", "orders", "partners", "notifications"}
    for path in production:
        assert "/ops" not in path.read_text()
        assert "Reflection" not in path.read_text()


def edge(bootstrap: dict[str, Any]) -> dict[str, Any]:
    manager: dict[str, Any] = next(manager for name, manager in lint.managers(bootstrap) if name == "edge")
    return manager


def route(bootstrap: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(route for route in lint.routes(edge(bootstrap)) if route["name"] == name)
    return found


def forget_the_role_check(bootstrap: dict[str, Any]) -> None:
    del route(bootstrap, "checkOrder")["typed_per_filter_config"]["rbac"]


def forget_the_token(bootstrap: dict[str, Any]) -> None:
    del route(bootstrap, "getOrder")["typed_per_filter_config"]["jwt"]


def forget_an_operation(bootstrap: dict[str, Any]) -> None:
    host = edge(bootstrap)["route_config"]["virtual_hosts"][0]
    host["routes"] = [route for route in host["routes"] if route["name"] != "assignOrder"]


def try_again_what_changes_things(bootstrap: dict[str, Any]) -> None:
    route(bootstrap, "confirmOrder")["route"]["retry_policy"] = {"retry_on": "reset"}


def take_tokens_from_the_query(bootstrap: dict[str, Any]) -> None:
    jwt = edge(bootstrap)["http_filters"][1]["typed_config"]
    jwt["providers"]["firebase"]["from_params"] = ["access_token"]


def keep_verdicts(bootstrap: dict[str, Any]) -> None:
    jwt = edge(bootstrap)["http_filters"][1]["typed_config"]
    jwt["providers"]["firebase"]["jwt_cache_config"] = {}


def leave_a_bound_of_tls_open(bootstrap: dict[str, Any]) -> None:
    for _, key, value in lint.walk(bootstrap):
        if key == "tls_params":
            value.pop("tls_maximum_protocol_version", None)


@pytest.mark.parametrize(
    "mistake",
    [
        forget_the_role_check,
        forget_the_token,
        forget_an_operation,
        try_again_what_changes_things,
        take_tokens_from_the_query,
        keep_verdicts,
        leave_a_bound_of_tls_open,
    ],
)
def test_our_lint_finds(source: Contracts, mistake: Callable[[dict[str, Any]], None]) -> None:
    bootstrap = yaml.safe_load((ROOT / "generated/envoy/development/gateway.yaml").read_text())
    assert list(lint.mistakes(source, "gateway", bootstrap)) == []
    planted = copy.deepcopy(bootstrap)
    mistake(planted)
    assert list(lint.mistakes(source, "gateway", planted))


def test_every_operation_has_one_route_and_its_own_roles(source: Contracts) -> None:
    bootstrap = yaml.safe_load((ROOT / "generated/envoy/development/gateway.yaml").read_text())
    for operation in operations(source, "delivery"):
        doors = route(bootstrap, operation.id)["typed_per_filter_config"]
        if operation.scheme != "bearer":
            assert doors["jwt"]["disabled"] is True
            continue
        assert doors["jwt"]["requirement_name"] == "bearer"
        allowed = re.findall(r"'regex': '([a-z|]+)'", str(doors["rbac"]))
        assert allowed == (["|".join(operation.roles)] if operation.roles else [])
