"""The gateway without its sidecar, with backends that answer at once: an application for uvicorn.

With `KEEPS` it keeps answers, as it does where it hears of changes; without, every page is made anew.
"""

import json
import os
from typing import Any, cast

from bench.canned import Cache, Channel
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery.handlers import OPERATIONS
from services.gateway.app import CONTRACTS
from services.gateway.cache import Checks
from services.gateway.rest.banks import Banks
from services.gateway.rest.callbacks import Callbacks
from services.gateway.rest.catalog import Catalog
from services.gateway.rest.notifications import Notifications
from services.gateway.rest.orders import Deliveries, Orders
from services.gateway.rest.partners import Partners
from services.gateway.rest.products import Products
from services.gateway.rest.users import Sessions, Users
from services.runtime import tracing
from services.runtime.clock import now
from services.runtime.rest.app import build
from services.runtime.rest.kept import room

UNUSED = cast(Any, None)
tracing.setup("gateway", 1)
channel = cast(Any, Channel())
orders, partners, notifications = OrdersStub(channel), PartnersStub(channel), NotificationsStub(channel)
checks = Checks("127.0.0.1:1")
checks._client = cast(Any, Cache())
kept = room(OPERATIONS.values())
for answers in kept.values():
    answers.hear("KEEPS" in os.environ)
app = build(
    json.loads((CONTRACTS / "delivery.json").read_text()),
    [
        Users(UNUSED, notifications),
        Sessions(UNUSED),
        Catalog(partners, orders, UNUSED),
        Orders(orders, partners, checks, now),
        Deliveries(orders),
        Banks(orders),
        Partners(partners),
        Products(partners),
        Callbacks(orders, partners, UNUSED, now),
        Notifications(notifications),
    ],
    OPERATIONS,
    {},
    kept,
    validate_responses=False,
)
