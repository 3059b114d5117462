"""`python -m services.orders serve|migrate|demo-data|reconcile`."""

from services.orders.app import Settings, serve
from services.orders.entrypoints.commands.demo_data import load
from services.orders.entrypoints.commands.reconcile import run_reconcile
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("orders", Settings, serve, load, commands_without_argument={"reconcile": run_reconcile})
