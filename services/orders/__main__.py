"""`python -m services.orders serve|migrate|demo-data|reconcile`."""

from services.orders.app import Settings, serve
from services.orders.demo import load
from services.orders.once import reconcile
from services.runtime.cli import main

if __name__ == "__main__":
    main("orders", Settings, serve, load, jobs={"reconcile": reconcile})
