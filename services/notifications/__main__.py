"""Command line of the service: `python -m services.notifications serve|migrate`."""

from services.notifications.app import serve
from services.notifications.settings import Settings
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("notifications", Settings, serve)
