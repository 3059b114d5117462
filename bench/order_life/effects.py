"""Effects of a whole life, by which a measurement is checked: status, partner, history and notifications."""

from collections.abc import Sequence
from typing import Any

from pymongo import MongoClient

from bench.mesh import Mesh
from deploy.local.infrastructure.mongodb import build_documents_url

STATUSES = ("pending", "paid", "ready", "delivering", "delivered")
NOTIFIED_STATUSES = STATUSES[1:]
"""Statuses of which the customer is notified."""

COUNT_DELIVERED = (
    "SELECT count(*) FROM orders WHERE id = ANY(%s) AND status = 'delivered' AND partner_notified_at IS NOT NULL"
)


def count_delivered(mesh: Mesh, database: str, order_ids: Sequence[str]) -> int:
    """Return the number of delivered orders whose partner has accepted them."""
    with mesh.connect_database(database) as connection:
        row = connection.execute(COUNT_DELIVERED.encode(), [[*order_ids]]).fetchone()
    return int(row[0]) if row else 0


def count_documents(mesh: Mesh, service: str, collection: str, query: dict[str, Any]) -> int:
    """Return the number of documents of a service's collection."""
    with MongoClient[dict[str, Any]](build_documents_url(mesh.config, mesh.secrets, service)) as client:
        return client.get_default_database()[collection].count_documents(query)


def count_finished(delivered: int, history: int, sent: int) -> int:
    """Return the number of orders with all effects, from numbers of orders, history entries and notifications."""
    return min(delivered, history // len(STATUSES), sent // len(NOTIFIED_STATUSES))


def count_finished_at_mesh(mesh: Mesh, order_ids: Sequence[str]) -> int:
    """Return the number of orders that have all effects; of incomplete documents, a lower bound."""
    query = {"order_id": {"$in": [*order_ids]}}
    return count_finished(
        count_delivered(mesh, "orders", order_ids),
        count_documents(mesh, "orders", "history", query),
        count_documents(mesh, "notifications", "notifications", {**query, "status": "sent"}),
    )
