"""Settings class of each service, by the name of the service."""

from importlib import import_module

from deploy.local.mesh_config import SERVICES
from services.runtime.config.settings import ServiceSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    name: import_module(f"services.{name}.settings").Settings for name in SERVICES
}
