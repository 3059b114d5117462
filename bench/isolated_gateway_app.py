"""The gateway without its sidecar and with stub backends: an ASGI application for uvicorn.

With `RESPONSE_CACHE` the response cache is enabled; without it, every page is encoded again.
"""

import json
import os
from typing import Any, cast

from bench.stub_backends import StubCache, StubChannel
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery.handlers import OPERATIONS
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.gateway.app import CALLEES, OPENAPI_FOLDER, build_forwarding_handlers
from services.gateway.entrypoints.rest.catalog import Catalog
from services.gateway.entrypoints.rest.orders import Orders
from services.gateway.entrypoints.rest.users import Sessions, Users
from services.runtime.core.clock import now
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import build_caches
from services.runtime.storage.memcached import MemcachedServer
from services.runtime.telemetry import tracing

UNUSED = cast(Any, None)
tracing.setup_tracing("gateway", "production", 1)
channel = cast(Any, StubChannel())
orders, partners, notifications = OrdersStub(channel), PartnersStub(channel), NotificationsStub(channel)
order_checks = MemcachedOrderCheckCache(MemcachedServer("127.0.0.1:1", "gateway", "password"), [b"key"])
order_checks._memcached._client = cast(Any, StubCache())
response_caches = build_caches(OPERATIONS.values())
for response_cache in response_caches.values():
    response_cache.set_subscribed("RESPONSE_CACHE" in os.environ)
app = build_app(
    json.loads((OPENAPI_FOLDER / "delivery.json").read_text(encoding="utf-8")),
    [
        Users(UNUSED, notifications, UNUSED),
        Sessions(UNUSED),
        Catalog(orders, partners, UNUSED, UNUSED),
        Orders(orders, partners, order_checks, now),
        *build_forwarding_handlers(dict.fromkeys(CALLEES, channel)),
    ],
    OPERATIONS,
    {},
    response_caches,
    validate_responses=False,
)
