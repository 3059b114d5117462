"""Command line of the service: `python -m services.notifications serve|migrate|reencrypt-secrets`."""

from services.notifications.app import reencrypt_secrets, serve
from services.notifications.settings import Settings
from services.runtime.process.cli import main

if __name__ == "__main__":
    main("notifications", Settings, serve, commands_without_argument={"reencrypt-secrets": reencrypt_secrets})
