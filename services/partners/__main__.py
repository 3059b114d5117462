"""`python -m services.partners serve|migrate|demo-data`."""

from services.partners.app import Settings, serve
from services.partners.entrypoints.commands.demo_data import load_demo_data
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("partners", Settings, serve, load_demo_data)
