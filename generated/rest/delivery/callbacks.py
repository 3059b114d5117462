"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from generated.rest.delivery.models import PaymentCallback, ReadyCallback
from services.runtime.core.json_schema import JsonParser

PAYMENT_CALLBACK = JsonParser(
    {
        "type": "object",
        "required": ["payment_id", "order_id", "amount", "currency", "status"],
        "properties": {
            "payment_id": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
            "order_id": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[\\x21-\\x7e]+$"},
            "amount": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 9007199254740991},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "status": {"type": "string", "enum": ["succeeded", "failed"]},
        },
    },
    PaymentCallback,
)

PARTNER_READY_CALLBACK = JsonParser(
    {
        "type": "object",
        "required": ["order_id", "pickup_address"],
        "properties": {
            "order_id": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[\\x21-\\x7e]+$"},
            "pickup_address": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "pattern": "^\\s*[^\\x00\\s][^\\x00]*$",
            },
        },
    },
    ReadyCallback,
)
