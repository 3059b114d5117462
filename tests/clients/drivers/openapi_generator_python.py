"""Order of a customer with the client that OpenAPI Generator writes for Python."""

import json
import os

import openapi_client as api

configuration = api.Configuration(host=os.environ["BASE_URL"])
with api.ApiClient(configuration) as client:
    credentials = api.SignInRequest(email=os.environ["EMAIL"], password=os.environ["PASSWORD"])
    configuration.access_token = api.SessionsApi(client).sign_in(credentials).access_token
    catalog = api.CatalogApi(client).list_catalog(partner_id=1)
    product = catalog.items[0].products[0]
    orders = api.OrdersApi(client)
    check = orders.check_order(
        api.CheckOrderRequest(
            partner_id=1,
            items=[api.BasketItem(product_id=product.id, quantity=2)],
            total_amount=2 * product.price,
            bank_id="visa",
            delivery_address="1 Long Street",
        )
    )
    confirmed = orders.confirm_order(api.ConfirmOrderRequest(check_id=check.check_id))
    order = orders.get_order(confirmed.order.id)
    orders.cancel_order(order.id)
    events = orders.watch_order(order.id, last_event_id="1")
    ended = orders.watch_order_with_http_info(order.id, last_event_id="2")
print(json.dumps({"status": order.status.value, "events": events, "ended": ended.status_code}))
