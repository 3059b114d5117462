"""As much as years bring, written straight into the stores: partners, what they sell, and orders that are over."""

from typing import Any

from psycopg import ClientCursor

from bench.mesh import FIRST_PARTNER_ID, Mesh, compute_price

READY_ORDER_COUNT = 400
"""Orders that wait for a deliverer, in every crowd; so many rounds can be driven."""

ORDERS_PER_ACCOUNT = 200
"""Orders of the demo's customer, and as many of the deliverer, in every crowd: one person does not grow."""

RARE_WORD, RARE_PRODUCT_COUNT = "Saffron", 10
"""A word in the titles of so many products, in every crowd."""

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
SELECT 'crowd-' || n, 'crowd-' || n, CASE WHEN n <= %(ready)s THEN 'ready' ELSE 'delivered' END,
  CASE WHEN n %% (%(orders)s / %(own)s) = 0 THEN %(customer)s ELSE 'customer-' || n %% 100000 END,
  jsonb_build_object('id', %(first)s, 'title', 'Partner', 'brand', 'Bench & Sons'),
  jsonb_build_array(jsonb_build_object('product_id', 1, 'title', 'Product', 'quantity', 1, 'price', %(price)s)),
  %(price)s, 'USD', %(price)s, 0, 'none', 'visa', 'crowd-' || n, '1 Long Street, Springfield', '1 Market Square',
  CASE WHEN n <= %(ready)s THEN NULL
    WHEN n %% (%(orders)s / %(own)s) = 1 THEN %(deliverer)s ELSE 'deliverer-' || n %% 1000 END,
  5, at, at, CASE WHEN n <= %(ready)s THEN now() END, at, '9999-01-01'
FROM (SELECT n, now() - interval '1 day' - n * interval '20 seconds' AS at FROM generate_series(1, %(orders)s) n) made
"""
INSERT_TRANSITIONS = """
INSERT INTO order_transitions (order_id, version, status, at, actor)
SELECT id, version, status, updated_at, 'bench' FROM orders WHERE id LIKE 'crowd-%%'
"""
INSERT_PAYMENTS = """
INSERT INTO payments (bank_id, payment_id, order_id, amount, currency, outcome, refund_amount, at, reconciled_at)
SELECT bank_id, payment_id, id, paid_amount, currency, 'paid', 0, created_at, '9999-01-01'
FROM orders WHERE id LIKE 'crowd-%%'
"""
INSERT_PARTNER_CALLS = """
INSERT INTO partner_calls (id, partner_id, order_id, payload, trace, state, attempts, next_at, created_at)
SELECT 'crowd-' || n, %(first)s + n %% %(partners)s, 'crowd-' || n, '{}', '{}', 'delivered', 1, at, at
FROM (SELECT n, now() - interval '1 day' - n * interval '20 seconds' AS at FROM generate_series(1, %(orders)s) n) made
"""


def insert_bulk_data(
    mesh: Mesh, customer_id: str, deliverer_id: str, partner_count: int, products_per_partner: int, order_count: int
) -> None:
    """Fills a mesh that is new. Documents are left out: the store that stands in for MongoDB is not what would run."""
    said: dict[str, Any] = {
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
            # Put together here: a server takes small numbers for small types, which overflow.
            cursor = ClientCursor(connection)
            for statement in statements:
                cursor.execute(statement.encode(), said)
            connection.execute("VACUUM ANALYZE")
