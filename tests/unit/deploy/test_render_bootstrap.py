"""Rendering of bootstraps from environment variables."""

import json
import sys
from pathlib import Path

import pytest

from deploy import render_bootstrap
from tests.envoys import list_envoys

SETTINGS = {
    "RUN_DIR": "/run/delivery",
    "PKI_DIR": "/run/pki",
    "EDGE_PKI_DIR": "/run/edge",
    "ALLOWED_ORIGINS": "https://app.example",
    "OTLP_HOST": "collector.example",
    "FIREBASE_PROJECT_ID": "delivery",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    for name in render_bootstrap.load_placeholders():
        monkeypatch.delenv(name, raising=False)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", list_envoys("production"))
def test_default_profile_is_production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", name, str(tmp_path / "envoy.json")])
    render_bootstrap.main()
    text = (tmp_path / "envoy.json").read_text(encoding="utf-8")
    assert "${" not in text
    assert json.loads(text)["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_secrets_are_written_beside_the_bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", "gateway", str(tmp_path / "envoy.json")])
    render_bootstrap.main()
    names = ["ca-sds.json", "edge-sds.json", "envoy.json", "gateway-sds.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    (edge,) = json.loads((tmp_path / "edge-sds.json").read_text(encoding="utf-8"))["resources"]
    assert edge["tls_certificate"] == {
        "certificate_chain": {"filename": "/run/edge/edge.pem"},
        "private_key": {"filename": "/run/edge/edge.key"},
        "watched_directory": {"path": "/run/edge"},
    }
    (ca,) = json.loads((tmp_path / "ca-sds.json").read_text(encoding="utf-8"))["resources"]
    assert ca["validation_context"] == {
        "trusted_ca": {"filename": "/run/pki/ca.pem"},
        "watched_directory": {"path": "/run/pki"},
    }


@pytest.mark.parametrize("missing", SETTINGS)
def test_missing_setting_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setattr(sys, "argv", ["bootstrap", "gateway", str(tmp_path / "envoy.json")])
    with pytest.raises(SystemExit, match=f"{missing}: is missing"):
        render_bootstrap.main()
    assert not (tmp_path / "envoy.json").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIREBASE_PROJECT_ID", "delivery-local"),
        ("ALLOWED_ORIGINS", "http://localhost:5173"),
        ("ALLOWED_ORIGINS", "https://app.example,http://127.0.0.1:3000"),
    ],
)
def test_production_rejects_development_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bootstrap", "gateway", str(tmp_path / "envoy.json")])
    with pytest.raises(SystemExit, match=f"{name} (is|contains) a development"):
        render_bootstrap.main()
    assert not (tmp_path / "envoy.json").exists()
    monkeypatch.setenv("ENVIRONMENT", "development")
    render_bootstrap.main()


def test_rate_limit_factor_multiplies_every_bucket_and_policy() -> None:
    texts = {
        factor: render_bootstrap.render_bootstrap("gateway", "production", SETTINGS | {"RATE_LIMIT_FACTOR": factor})
        for factor in ("1", "70")
    }
    assert r"q=30;w=3600, \"global\"" in texts["1"]
    assert r"q=2100;w=3600, \"global\"" in texts["70"]
    assert '"max_tokens": "30"' in texts["1"]
    assert '"max_tokens": "2100"' in texts["70"]
    assert not any("*30" in text for text in texts.values())
