"""What partners can do, each as one function:

- list_catalog: a page of partners with what they sell
- set_product_picture, list_product_pictures: what a product looks like
- check_products: what a basket costs at a partner
- verify_ready: whether a partner's callback is genuine, and the order its own
- plan_order, plan_cancellation: an order was paid or cancelled, so the partner's system is to be told
- make_call: tell it, and write down what it said
"""

from services.partners.usecases.calls import make_call, plan_cancellation, plan_order
from services.partners.usecases.catalog import (
    check_products,
    list_catalog,
    list_product_pictures,
    set_product_picture,
    verify_ready,
)

__all__ = [
    "check_products",
    "list_catalog",
    "list_product_pictures",
    "make_call",
    "plan_cancellation",
    "plan_order",
    "set_product_picture",
    "verify_ready",
]
