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

from bench.load import family
from bench.places import OFFSET, ROOT, STATE
from deploy.local.report import running
from deploy.local.secrets import Secrets
from deploy.local.state import State

PRODUCTION = {"TRACE_PERCENT": "1", "CHECK_ANSWERS": "false"}
"""What production does by default; the rest is as `make up` has it."""

FIRST = 1_000_000
"""Partners have ids from here on, so that every token below means the same page, and is another request."""

PARTNERS, PRODUCTS = 20, 10
OUTSIDE = ("sandbox", "traces")
"""Played by us, and nobody's cost."""


def basket(nth: int = 0) -> dict[str, Any]:
    """Two products of one partner, the first unless told otherwise."""
    ids = [FIRST + 1 + nth * PRODUCTS, FIRST + 2 + nth * PRODUCTS]
    return {
        "partner_id": FIRST + nth,
        "items": [{"product_id": product, "quantity": 2} for product in ids],
        "total_amount": 2 * sum(price(product) for product in ids),
        "currency": "USD",
        "bank_id": "visa",
        "delivery_address": "1 Long Street, Springfield",
    }


def price(product: int) -> int:
    """Minor units."""
    return 100 + product % 97


def partners(count: int = PARTNERS) -> Iterator[tuple[int, str, str, str]]:
    """Id, title, brand, address."""
    for number in range(FIRST, FIRST + count):
        yield number, f"Partner {number}", "Bench & Sons", f"{number} Long Street"


def products(count: int = PARTNERS, each: int = PRODUCTS) -> Iterator[tuple[int, str, str, int, int]]:
    """Id, title, description, partner, price."""
    for number in range(count * each):
        product = FIRST + 1 + number
        yield product, f"Product {product}", "Tomato, mozzarella, basil.", FIRST + number // each, price(product)


class Mesh:
    """What runs."""

    def __init__(self, folder: Path = STATE, offset: int = OFFSET) -> None:
        self._told = {**os.environ, **PRODUCTION, "DELIVERY_STATE": str(folder), "PORT_OFFSET": str(offset)}
        self.state = State(self._told)
        self.secrets = Secrets(self.state)

    def local(self, command: str) -> None:
        """What make does. Raises RuntimeError with what it said."""
        program = [sys.executable, "-m", "deploy.local", command]
        done = subprocess.run(program, cwd=ROOT, env=self._told, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

    def database(self, name: str, **more: Any) -> psycopg.Connection[Any]:
        """A connection of the superuser."""
        where: dict[str, Any] = {"host": self.state.bind, "port": self.state.port("POSTGRES_PORT"), "dbname": name}
        return psycopg.connect(**where, user="app", password=self.secrets.password("postgres"), autocommit=True, **more)

    def url(self, database: str) -> str:
        """The same, as a URL."""
        where = f"{self.state.bind}:{self.state.port('POSTGRES_PORT')}"
        return f"postgresql://app:{self.secrets.password('postgres')}@{where}/{database}"

    def pids(self, *names: str) -> list[int]:
        """Processes of these names, or of everything of ours, and below them."""
        report = running(self.state)
        if report is None:
            raise RuntimeError("the mesh has gone")
        wanted = [child for child in report.children if (child.name in names if names else child.name not in OUTSIDE)]
        return [pid for child in wanted if child.pid for pid in family(child.pid)]

    def token(self, who: str = "customer") -> str:
        """A demo account's: the customer's, the deliverer's or the admin's."""
        account = {"email": f"{who}@delivery.test", "password": "delivery-demo-1"}
        answer = httpx.post(f"{self.state.edge}/api/v1/sessions", json=account, trust_env=False).raise_for_status()
        return str(answer.json()["access_token"])

    def stock(self) -> None:
        """Partners, products and prices."""
        with self.database("partners") as connection, connection.transaction():
            connection.execute("DELETE FROM availability WHERE partner_id >= %s", [FIRST])
            for row in partners():
                connection.execute(
                    "INSERT INTO partners (id, title, brand, address, phone, email, api_url, webhook_secret, verified,"
                    " enabled) SELECT %s, %s, %s, %s, phone, email, api_url, webhook_secret, true, true"
                    " FROM partners WHERE id = 1 ON CONFLICT DO NOTHING",
                    row,
                )
            for product, title, description, partner, price in products():
                connection.execute(
                    "INSERT INTO products (id, title, description) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    [product, title, description],
                )
                connection.execute(
                    "INSERT INTO availability VALUES (%s, %s, %s, 'USD', true)", [partner, product, price]
                )

    def recreate(self, name: str) -> None:
        """An empty database."""
        with self.database("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@contextmanager
def up(folder: Path = STATE, offset: int = OFFSET) -> Iterator[Mesh]:
    """For as long as it is measured, and from nothing."""
    mesh = Mesh(folder, offset)
    mesh.local("down")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mesh.local("up")
    try:
        yield mesh
    finally:
        mesh.local("down")


@contextmanager
def stocked() -> Iterator[Mesh]:
    """The same, with partners and what they sell."""
    with up() as mesh:
        mesh.stock()
        yield mesh
