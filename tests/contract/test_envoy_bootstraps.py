"""Every generated bootstrap is one that Envoy accepts, and asks a machine for nothing that mesh.yaml does not name."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from codegen.contracts import load
from deploy.render_bootstrap import BOOTSTRAPS_DIR
from tests.conftest import ROOT
from tests.envoys import ENVOY_BINARY, build_settings, issue_certificates, list_envoys, write_bootstrap

ALL = [(profile, name) for profile in ("development", "production") for name in list_envoys(profile)]
each = pytest.mark.parametrize(("profile", "name"), ALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates."""
    made = tmp_path_factory.mktemp("envoy")
    issue_certificates(made)
    return made


def test_every_service_has_one() -> None:
    callers = load(ROOT).protos.callers
    assert {"gateway", "notifications", "orders", "partners"} <= set(callers)
    assert list_envoys("production") == sorted(callers)
    assert list_envoys("development") == sorted([*callers, "ops"])


@each
def test_envoy_accepts_it(folder: Path, profile: str, name: str) -> None:
    path = write_bootstrap(folder, profile, name, build_settings(folder))
    command = [str(ENVOY_BINARY), "--mode", "validate", "-c", str(path), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_its_placeholders_are_settings(profile: str, name: str) -> None:
    text = re.sub(r"(?m)^#.*$", "", (BOOTSTRAPS_DIR / profile / f"{name}.yaml").read_text())
    declared = yaml.safe_load((ROOT / "envoy/mesh.yaml").read_text())["settings"]
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert used <= declared.keys()
    assert text.count("$") == len(re.findall(r"\$\{\w+\}", text)), (
        "a $ that envsubst and string.Template would trip over"
    )


@pytest.mark.parametrize("name", list_envoys("production"))
def test_production_knows_no_operators(name: str) -> None:
    text = (BOOTSTRAPS_DIR / "production" / f"{name}.yaml").read_text()
    assert "delivery.local/ops" not in text
    assert "JWKS_HOST" not in text
    assert "ServerReflection" not in text
