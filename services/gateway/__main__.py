"""`python -m services.gateway serve|migrate|demo-data|admin EMAIL`."""

from services.gateway.app import Settings, serve
from services.gateway.entrypoints.commands.demo_data import load_demo_data
from services.gateway.entrypoints.commands.make_admin import promote_to_admin
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("gateway", Settings, serve, load_demo_data, {"admin": promote_to_admin})
