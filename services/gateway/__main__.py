"""`python -m services.gateway serve|migrate|demo-data|admin EMAIL`."""

from services.gateway.admin import make_admin
from services.gateway.app import Settings, serve
from services.gateway.demo import load
from services.runtime.cli import main

if __name__ == "__main__":
    main("gateway", Settings, serve, load, {"admin": make_admin})
