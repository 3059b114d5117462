"""The mesh under test, as `make up` runs it, in a folder and on ports of its own; and what both sides sell."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
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
"""What production does by default; the rest is as `make up` has it."""

FIRST_PARTNER_ID = 1_000_000
"""Partners have ids from here on, so that every token below means the same page, and is another request."""

PARTNER_COUNT, PRODUCTS_PER_PARTNER = 20, 10
EXCLUDED_PROCESSES = ("sandbox", "traces")
"""Played by us, and nobody's cost."""


def build_basket(partner_index: int = 0) -> dict[str, Any]:
    """Two products of one partner, the first unless told otherwise."""
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
    """Minor units."""
    return 100 + product_id % 97


def generate_partners(count: int = PARTNER_COUNT) -> Iterator[tuple[int, str, str, str]]:
    """Id, title, brand, address."""
    for number in range(FIRST_PARTNER_ID, FIRST_PARTNER_ID + count):
        yield number, f"Partner {number}", "Bench & Sons", f"{number} Long Street"


def generate_products(
    partner_count: int = PARTNER_COUNT, products_per_partner: int = PRODUCTS_PER_PARTNER
) -> Iterator[tuple[int, str, str, int, int]]:
    """Id, title, description, partner, price."""
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
    """What runs."""

    def __init__(self, folder: Path = STATE_DIR, offset: int = PORT_OFFSET) -> None:
        self._environment = {
            **os.environ,
            **PRODUCTION_SETTINGS,
            "DELIVERY_STATE": str(folder),
            "PORT_OFFSET": str(offset),
        }
        self.config = MeshConfig(self._environment)
        self.secrets = Secrets(self.config)

    def run_local(self, command: str) -> None:
        """What make does. Raises RuntimeError with what it said."""
        program = [sys.executable, "-m", "deploy.local", command]
        done = subprocess.run(program, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

    def connect_database(self, name: str, **more: Any) -> psycopg.Connection[Any]:
        """A connection of the superuser."""
        where: dict[str, Any] = {
            "host": self.config.bind_address,
            "port": self.config.get_port("POSTGRES_PORT"),
            "dbname": name,
        }
        return psycopg.connect(**where, user="app", password=self.secrets.password("postgres"), autocommit=True, **more)

    def database_url(self, database: str) -> str:
        """The same, as a URL."""
        where = f"{self.config.bind_address}:{self.config.get_port('POSTGRES_PORT')}"
        return f"postgresql://app:{self.secrets.password('postgres')}@{where}/{database}"

    def list_pids(self, *names: str) -> list[int]:
        """Processes of these names, or of everything of ours, and below them."""
        report = read_running_state(self.config)
        if report is None:
            raise RuntimeError("the mesh has gone")
        wanted = [
            child
            for child in report.children
            if (child.name in names if names else child.name not in EXCLUDED_PROCESSES)
        ]
        return [pid for child in wanted if child.pid for pid in list_process_tree(child.pid)]

    def get_access_token(self, role: str = "customer") -> str:
        """A demo account's: the customer's, the deliverer's or the admin's."""
        account = {"email": f"{role}@delivery.test", "password": "delivery-demo-1"}
        answer = httpx.post(f"{self.config.edge_url}/api/v1/sessions", json=account, trust_env=False).raise_for_status()
        return str(answer.json()["access_token"])

    def insert_catalog(self) -> None:
        """Partners, products and prices."""
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
        """An empty database."""
        with self.connect_database("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@contextmanager
def running_mesh(folder: Path = STATE_DIR, offset: int = PORT_OFFSET) -> Iterator[Mesh]:
    """For as long as it is measured, and from nothing."""
    mesh = Mesh(folder, offset)
    mesh.run_local("down")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mesh.run_local("up")
    try:
        yield mesh
    finally:
        mesh.run_local("down")


@contextmanager
def running_mesh_with_catalog() -> Iterator[Mesh]:
    """The same, with partners and what they sell."""
    with running_mesh() as mesh:
        mesh.insert_catalog()
        yield mesh
