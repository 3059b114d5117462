"""The measured mesh, with its own state folder and ports, and the catalog shared with the baselines."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from bench.load_generator import list_process_tree
from bench.paths import PORT_OFFSET, ROOT, STATE_DIR
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.supervisor_state import read_running_state

PRODUCTION_SETTINGS = {"TRACE_PERCENT": "1", "VALIDATE_RESPONSES": "false"}
"""Defaults of production. All other settings are those of `make up`."""

FIRST_PARTNER_ID = 1_000_000
"""First id of generated partners. Every page token below it selects the same page with a different request."""

PARTNER_COUNT, PRODUCTS_PER_PARTNER = 20, 10
EXCLUDED_PROCESSES = ("sandbox", "traces")
"""Emulators and test tools, which do not count as cost of the mesh."""


def build_basket(partner_index: int = 0) -> dict[str, Any]:
    """Return a basket of two products of one partner."""
    ids = [
        FIRST_PARTNER_ID + 1 + partner_index * PRODUCTS_PER_PARTNER,
        FIRST_PARTNER_ID + 2 + partner_index * PRODUCTS_PER_PARTNER,
    ]
    return {
        "partner_id": FIRST_PARTNER_ID + partner_index,
        "items": [{"product_id": product, "quantity": 2} for product in ids],
        "total_amount": 2 * sum(compute_price(product) for product in ids),
        "currency": "USD",
        "bank_id": "visa",
        "delivery_address": "1 Long Street, Springfield",
    }


def compute_price(product_id: int) -> int:
    """Return the price of a generated product in minor units."""
    return 100 + product_id % 97


def generate_partners(count: int = PARTNER_COUNT) -> Iterator[tuple[int, str, str, str]]:
    """Yield id, title, brand and address of generated partners."""
    for number in range(FIRST_PARTNER_ID, FIRST_PARTNER_ID + count):
        yield number, f"Partner {number}", "Bench & Sons", f"{number} Long Street"


def generate_products(
    partner_count: int = PARTNER_COUNT, products_per_partner: int = PRODUCTS_PER_PARTNER
) -> Iterator[tuple[int, str, str, int, int]]:
    """Yield id, title, description, partner and price of generated products."""
    for number in range(partner_count * products_per_partner):
        product = FIRST_PARTNER_ID + 1 + number
        yield (
            product,
            f"Product {product}",
            "Tomato, mozzarella, basil.",
            FIRST_PARTNER_ID + number // products_per_partner,
            compute_price(product),
        )


class Mesh:
    """A mesh that is started by the local runner."""

    def __init__(self, folder: Path = STATE_DIR, offset: int = PORT_OFFSET) -> None:
        self._environment = {
            **os.environ,
            **PRODUCTION_SETTINGS,
            "RATE_LIMIT_FACTOR": "10000",
            "MAX_EVENT_STREAMS_PER_USER": "10000",
            "DELIVERY_STATE": str(folder),
            "PORT_OFFSET": str(offset),
        }
        self.config = MeshConfig(self._environment)
        self.secrets = Secrets(self.config)

    def run_local(self, *command: str) -> None:
        """Run a command of the local runner. Raises RuntimeError with its output."""
        program = [sys.executable, "-m", "deploy.local", *command]
        completed = subprocess.run(
            program, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        if completed.returncode:
            raise RuntimeError(f"{' '.join(command)}: {completed.stdout}{completed.stderr}")

    def connect_database(self, name: str, **options: Any) -> psycopg.Connection[Any]:
        """Connect to a database as superuser."""
        address: dict[str, Any] = {
            "host": self.config.bind_address,
            "port": self.config.get_port("POSTGRES_PORT"),
            "dbname": name,
        }
        return psycopg.connect(
            **address, user="app", password=self.secrets.get_password("postgres"), autocommit=True, **options
        )

    def build_database_url(self, database: str) -> str:
        """Return the URL of a database for the superuser."""
        address = f"{self.config.bind_address}:{self.config.get_port('POSTGRES_PORT')}"
        return f"postgresql://app:{self.secrets.get_password('postgres')}@{address}/{database}"

    def list_pids(self, *names: str) -> list[int]:
        """Return the ids of the named processes, or of all that are not excluded, and of their descendants."""
        report = read_running_state(self.config)
        if report is None:
            raise RuntimeError("the mesh is not running")
        selected = [
            child
            for child in report.children
            if (child.name in names if names else child.name not in EXCLUDED_PROCESSES)
        ]
        return [pid for child in selected if child.pid for pid in list_process_tree(child.pid)]

    def get_access_token(self, role: str = "customer") -> str:
        """Return an access token of the demo customer, deliverer or admin."""
        account = {"email": f"{role}@delivery.test", "password": "delivery-demo-1"}
        response = httpx.post(
            f"{self.config.edge_url}/api/v1/sessions", json=account, trust_env=False
        ).raise_for_status()
        return str(response.json()["access_token"])

    def insert_catalog(self) -> None:
        """Insert the generated partners, products and prices."""
        with self.connect_database("partners") as connection, connection.transaction():
            connection.execute("DELETE FROM availability WHERE partner_id >= %s", [FIRST_PARTNER_ID])
            for row in generate_partners():
                connection.execute(
                    "INSERT INTO partners (id, title, brand, address, phone, email, api_url, webhook_secret, verified,"
                    " enabled) SELECT %s, %s, %s, %s, phone, email, api_url, webhook_secret, true, true"
                    " FROM partners WHERE id = 1 ON CONFLICT DO NOTHING",
                    row,
                )
            for product, title, description, partner, price in generate_products():
                connection.execute(
                    "INSERT INTO products (id, title, description) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    [product, title, description],
                )
                connection.execute(
                    "INSERT INTO availability VALUES (%s, %s, %s, 'USD', true)", [partner, product, price]
                )

    def recreate_database(self, name: str) -> None:
        """Drop the database if it exists, and create it."""
        with self.connect_database("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@contextmanager
def run_mesh(
    folder: Path = STATE_DIR, offset: int = PORT_OFFSET, configure_servers: Callable[[Mesh], None] | None = None
) -> Iterator[Mesh]:
    """Run a mesh from a clean state. `configure_servers` is called before the servers start for the last time."""
    mesh = Mesh(folder, offset)
    mesh.run_local("down")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if configure_servers is not None:
            mesh.run_local("up", "--only", "servers")
            configure_servers(mesh)
        mesh.run_local("up")
        yield mesh
    finally:
        mesh.run_local("down")


@contextmanager
def run_mesh_with_catalog() -> Iterator[Mesh]:
    """Run a mesh with the generated catalog."""
    with run_mesh() as mesh:
        mesh.insert_catalog()
        yield mesh
