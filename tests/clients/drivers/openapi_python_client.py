"""Order of a customer with the client that openapi-python-client writes."""

import json
import os

from delivery_client import AuthenticatedClient, Client
from delivery_client.api.catalog import list_catalog
from delivery_client.api.orders import cancel_order, check_order, confirm_order, get_order, watch_order
from delivery_client.api.sessions import sign_in
from delivery_client.models import (
    BasketItem,
    CancelOrderRequest,
    CatalogPage,
    CheckOrderRequest,
    ConfirmedOrder,
    ConfirmOrderRequest,
    Order,
    OrderCheck,
    Session,
    SignInRequest,
)

base_url = os.environ["BASE_URL"]
credentials = SignInRequest(email=os.environ["EMAIL"], password=os.environ["PASSWORD"])
session = sign_in.sync(client=Client(base_url=base_url), body=credentials)
assert isinstance(session, Session)
client = AuthenticatedClient(base_url=base_url, token=session.access_token)
catalog = list_catalog.sync(client=client, partner_id=1)
assert isinstance(catalog, CatalogPage)
product = catalog.items[0].products[0]
check = check_order.sync(
    client=client,
    body=CheckOrderRequest(
        partner_id=1,
        items=[BasketItem(product_id=product.id, quantity=2)],
        total_amount=2 * product.price,
        bank_id="visa",
        delivery_address="1 Long Street",
    ),
)
assert isinstance(check, OrderCheck)
confirmed = confirm_order.sync(client=client, body=ConfirmOrderRequest(check_id=check.check_id))
assert isinstance(confirmed, ConfirmedOrder)
order = get_order.sync(confirmed.order.id, client=client)
assert isinstance(order, Order)
cancel_order.sync(order.id, client=client, body=CancelOrderRequest())
events = watch_order.sync(order.id, client=client, last_event_id="1")
ended = watch_order.sync_detailed(order.id, client=client, last_event_id="2")
print(json.dumps({"status": order.status.value, "events": events, "ended": ended.status_code.value}))
