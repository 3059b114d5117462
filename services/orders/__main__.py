"""`python -m services.orders serve|migrate|demo-data|reconcile|reencrypt-secrets`."""

from services.orders.app import load_demo_data, reconcile, reencrypt_secrets, serve
from services.orders.settings import Settings
from services.runtime.process.cli import main

if __name__ == "__main__":
    main(
        "orders",
        Settings,
        serve,
        load_demo_data,
        commands_without_argument={"reconcile": reconcile, "reencrypt-secrets": reencrypt_secrets},
    )
