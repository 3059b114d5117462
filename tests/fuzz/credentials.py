"""Credentials of the fuzzer: an authorized user for each operation, and a valid signature for callbacks."""

import json
import os
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import requests
import schemathesis
from standardwebhooks.webhooks import Webhook

TOKENS: dict[str, str] = json.loads(os.environ.get("FUZZ_TOKENS", "{}"))
"""Access tokens by role, and by the id of operations that revoke their own token."""

PROTECTED = set(json.loads(os.environ.get("FUZZ_PROTECTED", "[]")))
"""Ids of accounts whose roles and tokens other requests need. The fuzzer finds them in lists."""

BANKS = ("visa", "km", "paypal")
PARTNERS = ("1", "2")
PRODUCTS = ("1", "2", "3", "4")
UNKNOWN_ID = 999_999_999
IDEMPOTENCY_KEY_PATTERN = re.compile("[!-~]{1,64}")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Replace ids of protected accounts and of the demo banks, partners and products, which other tests use.

    Products get a new idempotency key: with the key of an earlier request, the stored response would be replayed,
    and may refer to a product that was deleted since.
    """
    parameters = case.path_parameters or {}
    if parameters.get("user_id") in PROTECTED:
        parameters["user_id"] = "no-user"
    if case.path.startswith("/banks/") and case.method != "GET" and parameters.get("bank_id") in BANKS:
        parameters["bank_id"] = "no-bank"
    if case.path.startswith(("/partners/", "/products/")) and case.method != "GET":
        for name, protected_ids in (("partner_id", PARTNERS), ("product_id", PRODUCTS)):
            if str(parameters.get(name)) in protected_ids:
                parameters[name] = UNKNOWN_ID
    key = (case.headers or {}).get("Idempotency-Key")
    if (
        case.operation.definition.raw["operationId"] == "createProduct"
        and isinstance(key, str)
        and IDEMPOTENCY_KEY_PATTERN.fullmatch(key)
    ):
        case.headers["Idempotency-Key"] = secrets.token_hex(16)


class BearerAuth(requests.auth.AuthBase):
    """Bearer tokens of all authorized roles, in turns."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tokens = cycle([TOKENS.get(name, "") for name in names])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {next(self._tokens)}"
        return request


class SignatureAuth(requests.auth.AuthBase):
    """Signature of the exact bytes of the request body."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        text = body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else body
        message_id, now = f"msg_{secrets.token_hex(8)}", datetime.fromtimestamp(int(time.time()), UTC)
        request.headers["webhook-id"] = message_id
        request.headers["webhook-timestamp"] = str(int(now.timestamp()))
        try:
            request.headers["webhook-signature"] = Webhook(os.environ["FUZZ_SECRET"]).sign(message_id, now, text)
        except UnicodeEncodeError:
            request.headers["webhook-signature"] = "v1,bm90aGluZw=="
        return request


ROLES_BY_OPERATION = json.loads(os.environ.get("FUZZ_SECURITY", "{}"))
"""Authorized roles by operationId, or only "signed"."""

for operation, roles in ROLES_BY_OPERATION.items():
    if roles == ["signed"]:
        schemathesis.auth.set_from_requests(SignatureAuth()).apply_to(operation_id=operation)
    else:
        schemathesis.auth.set_from_requests(BearerAuth([operation] if operation in TOKENS else roles)).apply_to(
            operation_id=operation
        )
