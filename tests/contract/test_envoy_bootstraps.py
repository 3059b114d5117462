"""Validation of the generated bootstraps with Envoy, and of their placeholders."""

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from codegen.contracts import load
from codegen.envoy.route_selection import list_routes
from deploy.local.mesh_config import SERVICES
from deploy.render_bootstrap import BOOTSTRAPS_DIR
from tests.conftest import ROOT
from tests.envoys import ENVOY_BINARY, build_settings, issue_certificates, list_envoys, write_bootstrap

ALL = [(profile, name) for profile in ("development", "production") for name in list_envoys(profile)]
for_each_bootstrap = pytest.mark.parametrize(("profile", "name"), ALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificates."""
    path = tmp_path_factory.mktemp("envoy")
    issue_certificates(path)
    return path


def test_every_caller_has_a_bootstrap() -> None:
    callers = load(ROOT).protos.callers
    assert {*SERVICES} <= set(callers)
    assert list_envoys("production") == sorted(callers)
    assert list_envoys("development") == sorted([*callers, "ops"])


def validate(path: Path) -> None:
    command = [str(ENVOY_BINARY), "--mode", "validate", "-c", str(path), "--log-level", "error"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert result.returncode == 0, result.stdout + result.stderr


@for_each_bootstrap
def test_envoy_validates_bootstrap(folder: Path, profile: str, name: str) -> None:
    validate(write_bootstrap(folder, profile, name, build_settings(folder)))


def test_envoy_validates_documented_distributed_limits(folder: Path) -> None:
    page = (ROOT / "docs/rate-limits.md").read_text(encoding="utf-8").split("## Distributed limits")[1]
    cluster, http_filter, action = (
        yaml.load(textwrap.dedent(block), Loader=yaml.CSafeLoader)
        for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    )
    path = write_bootstrap(folder, "production", "gateway", build_settings(folder))
    bootstrap = json.loads(path.read_text(encoding="utf-8"))
    bootstrap["static_resources"]["clusters"].append(cluster)
    edges = [each for each in bootstrap["static_resources"]["listeners"] if each["name"].startswith("edge")]
    for edge in edges:
        manager = edge["filter_chains"][0]["filters"][0]["typed_config"]
        names = [each["name"] for each in manager["http_filters"]]
        manager["http_filters"].insert(names.index("rate_limit_global") + 1, http_filter)
        routes = {each["name"]: each for each in list_routes(manager["route_config"]["virtual_hosts"][0])}
        routes["signUp"]["route"] |= action
    assert len(edges) == 2
    path.write_text(json.dumps(bootstrap), encoding="utf-8")
    validate(path)


@for_each_bootstrap
def test_every_placeholder_is_a_setting(profile: str, name: str) -> None:
    text = (BOOTSTRAPS_DIR / profile / f"{name}.json").read_text(encoding="utf-8")
    declared = yaml.load((ROOT / "envoy/mesh.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["settings"]
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert used <= declared.keys()
    assert text.count("$") == len(re.findall(r"\$\{\w+\}", text)), "a literal $ breaks envsubst and string.Template"


@pytest.mark.parametrize("name", list_envoys("production"))
def test_production_bootstrap_has_no_operator_access(name: str) -> None:
    text = (BOOTSTRAPS_DIR / "production" / f"{name}.json").read_text(encoding="utf-8")
    assert "delivery.local/ops" not in text
    assert "JWKS_HOST" not in text
    assert "ServerReflection" not in text
