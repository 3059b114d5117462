"""Command line: `python -m services.gateway serve|migrate|demo-data|make-admin EMAIL`."""

from services.gateway.app import load_demo_data, promote_to_admin, serve
from services.gateway.settings import Settings
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("gateway", Settings, serve, load_demo_data, {"make-admin": promote_to_admin})
