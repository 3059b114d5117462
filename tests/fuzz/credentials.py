"""Who the fuzzer is: for each operation somebody who may do it; a callback is signed as what is sent."""

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
"""By role, and by the name of an operation that its account would not survive."""


PROTECTED = set(json.loads(os.environ.get("FUZZ_PROTECTED", "[]")))
"""Accounts whose roles other tests build on; the fuzzer finds their ids in lists."""


BANKS = ("visa", "km", "paypal")
PARTNERS = ("1", "2")
PRODUCTS = ("1", "2", "3", "4")
NOBODYS = 999_999_999
KEY = re.compile("[!-~]{1,64}")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Leaves those accounts alone, and the demo's banks, partners and products: other tests pay and order there.

    No product is created by the key of an earlier one, which may have been deleted since: the first answer would come
    again, and name a product that is gone.
    """
    given = case.path_parameters or {}
    if given.get("user_id") in PROTECTED:
        given["user_id"] = "nobody"
    if case.path.startswith("/banks/") and case.method != "GET" and given.get("bank_id") in BANKS:
        given["bank_id"] = "no-bank"
    if case.path.startswith(("/partners/", "/products/")) and case.method != "GET":
        for name, known in (("partner_id", PARTNERS), ("product_id", PRODUCTS)):
            if str(given.get(name)) in known:
                given[name] = NOBODYS
    key = (case.headers or {}).get("Idempotency-Key")
    if case.operation.definition.raw["operationId"] == "createProduct" and isinstance(key, str) and KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = secrets.token_hex(16)


class Token(requests.auth.AuthBase):
    """A bearer token of everybody who may, in turns."""

    def __init__(self, names: Sequence[str]) -> None:
        self._turns = cycle([TOKENS.get(name, "") for name in names])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {next(self._turns)}"
        return request


class Signature(requests.auth.AuthBase):
    """Signs the very bytes that are sent."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        text = body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else body
        name, now = f"msg_{secrets.token_hex(8)}", datetime.fromtimestamp(int(time.time()), UTC)
        request.headers["webhook-id"] = name
        request.headers["webhook-timestamp"] = str(int(now.timestamp()))
        try:
            request.headers["webhook-signature"] = Webhook(os.environ["FUZZ_SECRET"]).sign(name, now, text)
        except UnicodeEncodeError:
            request.headers["webhook-signature"] = "v1,bm90aGluZw=="
        return request


CONTRACT = json.loads(os.environ.get("FUZZ_SECURITY", "{}"))
"""By operationId: the roles that may call it, or "signed" alone."""

for operation, who in CONTRACT.items():
    if who == ["signed"]:
        schemathesis.auth.set_from_requests(Signature()).apply_to(operation_id=operation)
    else:
        schemathesis.auth.set_from_requests(Token([operation] if operation in TOKENS else who)).apply_to(
            operation_id=operation
        )
