"""Bulk data written directly into the databases: partners, products, and completed orders with their documents."""

from typing import Any

from psycopg import ClientCursor
from pymongo import MongoClient
from pymongo.collection import Collection

from bench.mesh import FIRST_PARTNER_ID, Mesh, compute_price
from deploy.local.infrastructure.mongodb import build_documents_url

READY_ORDER_COUNT = 400
"""Orders that are ready for a deliverer, at every data size. Limits the number of rounds."""

ORDERS_PER_ACCOUNT = 200
"""Orders of the demo customer, and of the demo deliverer, at every data size."""

DOCUMENTS_PER_BATCH = 1000
DOCUMENT_INTERVAL_MS = 5000
"""Time between two documents: a million of them are younger than the retention of notifications."""

RARE_WORD, RARE_PRODUCT_COUNT = "Saffron", 10
"""A word in the titles of this many products, at every data size."""

INSERT_PARTNERS = """
INSERT INTO partners (id, title, brand, address, phone, email, api_url, webhook_secret, verified, enabled)
SELECT %(first)s + n, 'Partner ' || n, 'Bench & Sons', n || ' Long Street', phone, email, api_url, webhook_secret,
  true, true
FROM partners, generate_series(0, %(partners)s - 1) n WHERE id = 1
"""
INSERT_PRODUCTS = """
INSERT INTO products (id, title, description)
SELECT %(first)s + 1 + n,
  CASE WHEN n %% (%(partners)s * %(each)s / %(rarely)s) = 0 THEN %(rare)s ELSE 'Good' END || ' product ' || n,
  'Tomato, mozzarella, basil.' FROM generate_series(0, %(partners)s * %(each)s - 1) n
"""
INSERT_AVAILABILITY = """
INSERT INTO availability SELECT %(first)s + n / %(each)s, %(first)s + 1 + n, %(price)s, 'USD', true
FROM generate_series(0, %(partners)s * %(each)s - 1) n
"""
INSERT_ORDERS = """
INSERT INTO orders (id, check_id, status, customer_id, partner, items, total_amount, currency, paid_amount,
  refunded_amount, refund_status, bank_id, payment_id, delivery_address, pickup_address, deliverer_id, version,
  created_at, updated_at, ready_at, partner_notified_at, reconciled_at)
SELECT 'bulk-' || n, 'bulk-' || n, CASE WHEN n <= %(ready)s THEN 'ready' ELSE 'delivered' END,
  CASE WHEN n %% (%(orders)s / %(own)s) = 0 THEN %(customer)s ELSE 'customer-' || n %% 100000 END,
  jsonb_build_object('id', %(first)s, 'title', 'Partner', 'brand', 'Bench & Sons'),
  jsonb_build_array(jsonb_build_object('product_id', 1, 'title', 'Product', 'quantity', 1, 'price', %(price)s)),
  %(price)s, 'USD', %(price)s, 0, 'none', 'visa', 'bulk-' || n, '1 Long Street, Springfield', '1 Market Square',
  CASE WHEN n <= %(ready)s THEN NULL
    WHEN n %% (%(orders)s / %(own)s) = 1 THEN %(deliverer)s ELSE 'deliverer-' || n %% 1000 END,
  5, at, at, CASE WHEN n <= %(ready)s THEN now() END, at, '9999-01-01'
FROM (SELECT n, now() - interval '1 day' - n * interval '20 seconds' AS at FROM generate_series(1, %(orders)s) n) g
"""
INSERT_TRANSITIONS = """
INSERT INTO order_transitions (order_id, version, status, at, actor)
SELECT id, version, status, updated_at, 'bench' FROM orders WHERE id LIKE 'bulk-%%'
"""
INSERT_PAYMENTS = """
INSERT INTO payments (bank_id, payment_id, order_id, amount, currency, outcome, refund_amount, at, reconciled_at)
SELECT bank_id, payment_id, id, paid_amount, currency, 'paid', 0, created_at, '9999-01-01'
FROM orders WHERE id LIKE 'bulk-%%'
"""
INSERT_PARTNER_CALLS = """
INSERT INTO partner_calls (id, partner_id, order_id, payload, trace, state, attempts, next_at, created_at)
SELECT 'bulk-' || n, %(first)s + n %% %(partners)s, 'bulk-' || n, '{}', '{}', 'delivered', 1, at, at
FROM (SELECT n, now() - interval '1 day' - n * interval '20 seconds' AS at FROM generate_series(1, %(orders)s) n) g
"""


def insert_bulk_data(
    mesh: Mesh, customer_id: str, deliverer_id: str, partner_count: int, products_per_partner: int, order_count: int
) -> None:
    """Fill the databases and collections of a new mesh."""
    parameters: dict[str, Any] = {
        "first": FIRST_PARTNER_ID,
        "partners": partner_count,
        "each": products_per_partner,
        "orders": order_count,
        "price": compute_price(FIRST_PARTNER_ID),
        "ready": READY_ORDER_COUNT,
        "own": ORDERS_PER_ACCOUNT,
        "rare": RARE_WORD,
        "rarely": RARE_PRODUCT_COUNT,
        "customer": customer_id,
        "deliverer": deliverer_id,
    }
    for database, statements in {
        "partners": (INSERT_PARTNERS, INSERT_PRODUCTS, INSERT_AVAILABILITY, INSERT_PARTNER_CALLS),
        "orders": (INSERT_ORDERS, INSERT_TRANSITIONS, INSERT_PAYMENTS),
    }.items():
        with mesh.connect_database(database) as connection:
            # Parameters are interpolated by the client: the server infers small integer types, which overflow.
            cursor = ClientCursor(connection)
            for statement in statements:
                cursor.execute(statement.encode(), parameters)
            connection.execute("VACUUM ANALYZE")
    for service, collections in _build_document_expressions(customer_id, order_count).items():
        with MongoClient[dict[str, Any]](build_documents_url(mesh.config, mesh.secrets, service)) as client:
            for name, expression in collections.items():
                replace_documents(client.get_default_database()[name], expression, order_count)


def replace_documents(collection: Collection[dict[str, Any]], expression: dict[str, Any], count: int) -> None:
    """Replace a collection by documents that MongoDB computes from an expression, in which `$n` is 1 to `count`."""
    batches = {"$range": [0, count, DOCUMENTS_PER_BATCH]}
    last = {"$min": [{"$add": ["$first", DOCUMENTS_PER_BATCH]}, count]}
    pipeline: list[dict[str, Any]] = [
        {"$documents": {"$map": {"input": batches, "in": {"first": "$$this"}}}},
        {"$project": {"n": {"$range": [{"$add": ["$first", 1]}, {"$add": [last, 1]}]}}},
        {"$unwind": "$n"},
        {"$project": expression},
        {"$out": collection.name},
    ]
    collection.database.aggregate(pipeline)


def _build_document_expressions(customer_id: str, order_count: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the expressions of the documents of each service, by collection: one of each per order."""
    bulk_id = {"$concat": ["bulk-", {"$toString": "$n"}]}
    at = {"$subtract": ["$$NOW", {"$multiply": ["$n", DOCUMENT_INTERVAL_MS]}]}
    price = {"$literal": compute_price(FIRST_PARTNER_ID)}
    user = {
        "$cond": [
            {"$eq": [{"$mod": ["$n", order_count // ORDERS_PER_ACCOUNT]}, 0]},
            customer_id,
            {"$concat": ["customer-", {"$toString": {"$mod": ["$n", 100_000]}}]},
        ]
    }
    entry = {"order_id": bulk_id, "version": {"$literal": 5}, "status": "delivered", "at": at, "actor": "bench"}
    payment = {"bank_id": "visa", "payment_id": bulk_id, "order_id": bulk_id, "amount": price, "currency": "USD"}
    notification = {"user_id": user, "event": "orders.delivered", "order_id": bulk_id, "agent_id": "orders"}
    text = {"title": "Delivered", "body": "Your order was delivered.", "status": "sent", "attempts": []}
    return {
        "orders": {
            "history": {"_id": {"$concat": [bulk_id, ":5"]}, **entry, "note": None},
            "payments": {
                "_id": {"$concat": ["visa:", bulk_id]},
                **payment,
                "outcome": "paid",
                "refund_amount": {"$literal": 0},
                "at": at,
            },
        },
        "notifications": {
            "notifications": {"_id": bulk_id, **notification, **text, "created_at": at, "sent_at": at, "reason": None}
        },
    }
