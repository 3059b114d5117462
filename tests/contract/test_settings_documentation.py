"""docs/settings.md agrees with the settings classes, envoy/mesh.yaml and the ports of the local mesh."""

import re

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings

from tests import settings_reference
from tests.service_settings import SETTINGS
from tests.settings_reference import DEVELOPMENT_PROCESSES, FIX_COMMAND, PAGE

DOCUMENTED_VARIABLES = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_settings_page_matches_classes() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_reference.render_page(), f"fix with: {FIX_COMMAND}"


@pytest.mark.parametrize(
    "settings", [*SETTINGS.values(), *DEVELOPMENT_PROCESSES.values()], ids=lambda each: each.__module__
)
def test_settings_page_lists_every_variable(settings: type[BaseSettings]) -> None:
    assert {name.upper() for name in settings.model_fields} <= DOCUMENTED_VARIABLES


class _Settings(BaseSettings):
    interval_seconds: float = Field(default=5, gt=0, le=30, description="interval, in seconds")


class _ChangedDefault(BaseSettings):
    interval_seconds: float = Field(default=6, gt=0, le=30, description="interval, in seconds")


class _ChangedName(BaseSettings):
    poll_interval_seconds: float = Field(default=5, gt=0, le=30, description="interval, in seconds")


def test_settings_table_contains_name_type_default_and_description() -> None:
    table = settings_reference.settings_table(_Settings.model_fields)
    assert "| `INTERVAL_SECONDS` | number, > 0, ≤ 30 | `5` | interval, in seconds |" in table


@pytest.mark.parametrize("changed", [_ChangedDefault, _ChangedName])
def test_settings_table_differs_after_change_of_class(changed: type[BaseSettings]) -> None:
    original = settings_reference.settings_table(_Settings.model_fields)
    assert settings_reference.settings_table(changed.model_fields) != original
