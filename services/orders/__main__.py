"""`python -m services.orders serve|migrate|demo-data`."""

from services.orders.app import Settings, serve
from services.orders.demo import load
from services.runtime.cli import main

if __name__ == "__main__":
    main("orders", Settings, serve, load)
