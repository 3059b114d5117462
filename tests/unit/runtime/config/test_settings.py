"""Settings from the environment and from secret files, and the messages about invalid ones."""

from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.runtime.config.settings import (
    Delays,
    DemoSettings,
    InboxDays,
    Origins,
    ServiceSettings,
    SettingsError,
    load_settings,
)

MAX_DELAY_S = 30 * 86400
PASSWORD = "correct-horse"


class ExampleSettings(BaseSettings):
    """Settings of an example service."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: SecretStr
    workers: int = Field(default=2, ge=1, le=8)
    allowed_targets: Annotated[Origins, NoDecode] = ()
    retry_delays: Annotated[Delays, NoDecode] = (1, 2)

    @model_validator(mode="after")
    def _check_workers(self) -> "ExampleSettings":
        if self.workers == 7:
            raise ValueError("WORKERS must not be 7; RETRY_DELAYS must be shorter")
        return self


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKERS", "ALLOWED_TARGETS", "RETRY_DELAYS", "SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app:{PASSWORD}@database.test/app")


def test_secret_is_not_part_of_representation() -> None:
    assert PASSWORD not in repr(load_settings(ExampleSettings))


@pytest.mark.parametrize(
    ("text", "delays"), [("", ()), ("5", (5,)), ("0,1.5,60", (0, 1.5, 60)), (f"{MAX_DELAY_S}", (MAX_DELAY_S,))]
)
def test_delays_are_comma_separated_seconds(
    monkeypatch: pytest.MonkeyPatch, text: str, delays: tuple[float, ...]
) -> None:
    monkeypatch.setenv("RETRY_DELAYS", text)
    assert load_settings(ExampleSettings).retry_delays == delays


@pytest.mark.parametrize("text", ["-1", f"{MAX_DELAY_S + 1}", "soon", "1;2"])
def test_invalid_delay_is_reported_with_its_position(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RETRY_DELAYS", f"1,{text}")
    with pytest.raises(SettingsError, match="RETRY_DELAYS_1: Input should be"):
        load_settings(ExampleSettings)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters=",", categories=["L", "N"]), min_size=1)))
def test_origins_are_split_at_commas(origins: list[str]) -> None:
    assert TypeAdapter(Origins).validate_python(",".join(origins)) == tuple(origins)


@pytest.mark.parametrize(("days", "is_valid"), [(1.9, False), (2, True), (3650, True), (3651, False)])
def test_inbox_retention_is_bounded(days: float, is_valid: bool) -> None:
    adapter = TypeAdapter[float](InboxDays)
    if is_valid:
        assert adapter.validate_python(days) == days
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(days)


def test_every_invalid_variable_is_reported_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("WORKERS", PASSWORD)
    with pytest.raises(SettingsError) as raised:
        load_settings(ExampleSettings)
    lines = str(raised.value).splitlines()
    assert lines[0] == "invalid environment:"
    assert [line.strip().partition(":")[0] for line in lines[1:]] == ["DATABASE_URL", "WORKERS"]
    assert PASSWORD not in str(raised.value)


def test_each_error_of_a_validator_is_on_a_separate_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "7")
    with pytest.raises(SettingsError) as raised:
        load_settings(ExampleSettings)
    assert str(raised.value).splitlines()[1:] == ["  WORKERS must not be 7", "  RETRY_DELAYS must be shorter"]


@pytest.mark.parametrize(("value", "expected"), [("", "http://sandbox"), ("http://localhost", "http://localhost")])
def test_browser_url_defaults_to_the_url_of_services(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("DEMO_WEBHOOK_SECRET", "whsec_c2VjcmV0")
    monkeypatch.setenv("SANDBOX_URL", "http://sandbox")
    monkeypatch.setenv("SANDBOX_BROWSER_URL", value)
    assert load_settings(DemoSettings).browser_url == expected


def test_settings_error_exits_with_failure() -> None:
    assert SettingsError("invalid environment").code == "invalid environment"


@pytest.mark.parametrize("is_file", [True, False])
def test_secrets_dir_that_is_no_folder_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_file: bool
) -> None:
    path = tmp_path / "secrets"
    if is_file:
        path.write_text("", encoding="utf-8")
    monkeypatch.setenv("SECRETS_DIR", str(path))
    with pytest.raises(SettingsError, match="SECRETS_DIR: is not a folder"):
        load_settings(ExampleSettings)


def test_invalid_secret_file_is_reported_like_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    (tmp_path / "workers").write_text("9\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="WORKERS: Input should be less than or equal to 8"):
        load_settings(ExampleSettings)
    monkeypatch.setenv("WORKERS", "3")
    assert load_settings(ExampleSettings).workers == 3


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("log_level", ["debug", "TRACE", ""]),
        ("trace_percent", [-0.1, 100.1]),
        ("drain_seconds", [-1]),
        ("environment", ["test"]),
        ("encryption_key", ["short"]),
    ],
)
def test_common_setting_out_of_range_is_rejected(name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValidationError, match=name):
            ServiceSettings.model_validate({"environment": "development", name: value})
