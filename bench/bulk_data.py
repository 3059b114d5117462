"""Bulk data written directly into the databases: partners, products and completed orders."""

from typing import Any

from psycopg import ClientCursor

from bench.mesh import FIRST_PARTNER_ID, Mesh, compute_price

READY_ORDER_COUNT = 400
"""Orders that are ready for a deliverer, at every data size. Limits the number of rounds."""

ORDERS_PER_ACCOUNT = 200
"""Orders of the demo customer, and of the demo deliverer, at every data size."""

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
    """Fill the databases of a new mesh. The document store is left out: locally it is a substitute for MongoDB."""
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
