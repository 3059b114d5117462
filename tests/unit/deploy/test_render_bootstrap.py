"""Bootstraps are filled in from the environment, whole or not at all."""

import sys
from pathlib import Path

import pytest
import yaml

from deploy import render_bootstrap
from tests.envoys import list_envoys

TOLD = {
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
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", list_envoys("production"))
def test_production_is_what_is_filled_in_when_nobody_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap", name, str(tmp_path / "envoy.yaml")])
    render_bootstrap.main()
    said = (tmp_path / "envoy.yaml").read_text()
    assert "${" not in said
    assert yaml.load(said, Loader=yaml.CSafeLoader)["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.mark.parametrize("missing", TOLD)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setattr(sys, "argv", ["bootstrap", "gateway", str(tmp_path / "envoy.yaml")])
    with pytest.raises(SystemExit, match=f"{missing}: is missing"):
        render_bootstrap.main()
    assert not (tmp_path / "envoy.yaml").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIREBASE_PROJECT_ID", "delivery-local"),
        ("ALLOWED_ORIGINS", "http://localhost:5173"),
        ("ALLOWED_ORIGINS", "https://app.example,http://127.0.0.1:3000"),
    ],
)
def test_production_does_not_take_what_is_for_development(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bootstrap", "gateway", str(tmp_path / "envoy.yaml")])
    with pytest.raises(SystemExit, match=f"{name} is .*for development"):
        render_bootstrap.main()
    assert not (tmp_path / "envoy.yaml").exists()
    monkeypatch.setenv("ENVIRONMENT", "development")
    render_bootstrap.main()
