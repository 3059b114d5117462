"""`python -m services.partners serve|migrate|demo-data`."""

from services.partners.app import Settings, serve
from services.partners.demo import load
from services.runtime.cli import main

if __name__ == "__main__":
    main("partners", Settings, serve, load)
