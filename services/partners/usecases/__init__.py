"""Use cases of partners, by module.

- call_planning: OrderCallPlanner, plan_cancellation_call
- catalog: list_catalog, list_partner_products, check_products
- catalog_import: upsert_catalog
- opening_hours: set_opening_hours, remove_opening_hours
- partner_calls: make_call, record_call_error
- partners: create_partner, list_partners, get_partner, update_partner, disable_partner, rotate_partner_secret
- pictures: set_partner_picture, set_product_picture, list_partner_pictures, list_product_pictures
- products: create_product, list_products, get_product, update_product, delete_product, set_availability,
  remove_availability
- ready_callbacks: handle_ready_callback
- replay_calls: list_partner_calls, replay_partner_call

`catalog_events` builds the events of catalog changes, and `sorted_pages` the pages of
lists with several orders. `ports` defines the interfaces that the adapters implement.
"""

from services.partners.usecases.call_planning import OrderCallPlanner, plan_cancellation_call
from services.partners.usecases.catalog import check_products, list_catalog, list_partner_products
from services.partners.usecases.catalog_import import upsert_catalog
from services.partners.usecases.opening_hours import remove_opening_hours, set_opening_hours
from services.partners.usecases.partner_calls import make_call, record_call_error
from services.partners.usecases.partners import (
    create_partner,
    disable_partner,
    get_partner,
    list_partners,
    rotate_partner_secret,
    update_partner,
)
from services.partners.usecases.pictures import (
    list_partner_pictures,
    list_product_pictures,
    set_partner_picture,
    set_product_picture,
)
from services.partners.usecases.products import (
    create_product,
    delete_product,
    get_product,
    list_products,
    remove_availability,
    set_availability,
    update_product,
)
from services.partners.usecases.ready_callbacks import handle_ready_callback
from services.partners.usecases.replay_calls import list_partner_calls, replay_partner_call

__all__ = [
    "OrderCallPlanner",
    "check_products",
    "create_partner",
    "create_product",
    "delete_product",
    "disable_partner",
    "get_partner",
    "get_product",
    "handle_ready_callback",
    "list_catalog",
    "list_partner_calls",
    "list_partner_pictures",
    "list_partner_products",
    "list_partners",
    "list_product_pictures",
    "list_products",
    "make_call",
    "plan_cancellation_call",
    "record_call_error",
    "remove_availability",
    "remove_opening_hours",
    "replay_partner_call",
    "rotate_partner_secret",
    "set_availability",
    "set_opening_hours",
    "set_partner_picture",
    "set_product_picture",
    "update_partner",
    "update_product",
    "upsert_catalog",
]
