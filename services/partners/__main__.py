"""Command line: `python -m services.partners serve|migrate|demo-data|reencrypt-secrets`."""

from services.partners.app import load_demo_data, reencrypt_secrets, serve
from services.partners.settings import Settings
from services.runtime.process.cli import main

if __name__ == "__main__":
    main(
        "partners",
        Settings,
        serve,
        load_demo_data,
        commands_without_argument={"reencrypt-secrets": reencrypt_secrets},
    )
