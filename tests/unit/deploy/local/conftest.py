"""Configuration and secrets of a mesh in a temporary folder, created once because RSA keys are slow to generate."""

import pytest

from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets


@pytest.fixture(scope="session")
def shared_config(tmp_path_factory: pytest.TempPathFactory) -> MeshConfig:
    """Return a configuration with default ports; tests must not change its folder."""
    return MeshConfig({"DELIVERY_STATE": str(tmp_path_factory.mktemp("mesh"))})


@pytest.fixture(scope="session")
def shared_secrets(shared_config: MeshConfig) -> Secrets:
    return Secrets(shared_config)
