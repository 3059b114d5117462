"""Configurations of all machines in a temporary folder."""

from pathlib import Path

import pytest

from deploy.cluster.machines import OUTSIDE, Machine, MachineConfig, create_configs
from deploy.local.pki.secrets import Secrets


@pytest.fixture
def configs(tmp_path: Path) -> dict[Machine, MachineConfig]:
    return create_configs(tmp_path)


@pytest.fixture
def secrets(configs: dict[Machine, MachineConfig]) -> Secrets:
    return Secrets(configs[OUTSIDE])
