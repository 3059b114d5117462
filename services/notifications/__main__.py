"""`python -m services.notifications serve|migrate`."""

from services.notifications.app import Settings, serve
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("notifications", Settings, serve)
