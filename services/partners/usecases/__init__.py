"""What partners can do, each as one function:

- list_catalog, list_partner_products: what customers see of partners and what they sell
- check_products: what a basket costs at a partner
- verify_ready: whether a partner's callback is genuine, and the order its own
- create_partner, list_partners, get_partner, update_partner, disable_partner, rotate_partner_secret: what admins do
- create_product, list_products, get_product, update_product, delete_product: the same with products
- set_product_picture, list_product_pictures: what a product looks like
- set_availability, remove_availability: what a product costs at a partner
- plan_order, plan_cancellation: an order was paid or cancelled, so the partner's system is to be told
- make_call: tell it, and write down what it said
- list_partner_calls, replay_partner_call: what it was told, and once more
"""

from services.partners.usecases.catalog import (
    check_products,
    list_catalog,
    list_product_pictures,
    set_product_picture,
    verify_ready_callback,
)
from services.partners.usecases.partner_calls import make_call, plan_cancellation_call, plan_order_call
from services.partners.usecases.partners import (
    create_partner,
    disable_partner,
    get_partner,
    list_partners,
    rotate_partner_secret,
    update_partner,
)
from services.partners.usecases.products import (
    create_product,
    delete_product,
    get_product,
    list_partner_products,
    list_products,
    remove_availability,
    set_availability,
    update_product,
)
from services.partners.usecases.replay_calls import list_partner_calls, replay_partner_call

__all__ = [
    "check_products",
    "create_partner",
    "create_product",
    "delete_product",
    "disable_partner",
    "get_partner",
    "get_product",
    "list_catalog",
    "list_partner_calls",
    "list_partner_products",
    "list_partners",
    "list_product_pictures",
    "list_products",
    "make_call",
    "plan_cancellation_call",
    "plan_order_call",
    "remove_availability",
    "replay_partner_call",
    "rotate_partner_secret",
    "set_availability",
    "set_product_picture",
    "update_partner",
    "update_product",
    "verify_ready_callback",
]
