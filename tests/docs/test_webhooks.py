"""Examples of docs/webhooks.md: they verify requests of the platform, and the platform verifies their callbacks."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from services.orders.entrypoints.payment_instructions import sign_checkout, sign_return_url
from services.runtime.core.errors import ApiError
from services.runtime.outbound.webhook_secrets import generate_secret
from services.runtime.outbound.webhooks import SignedRequest, sign_message, verify_signature
from tests.conftest import ROOT
from tests.docs import steps

SECRET, OTHER_SECRET = generate_secret(), generate_secret()
BODY = '{"order_id":"0b6f","note":"Grüße"}'
CHECKOUT = ("amount", "currency", "callback_url")
CALL_EXAMPLE = """
import { readFileSync } from "node:fs";
import * as webhooks from "./webhooks.mjs";

const results = JSON.parse(readFileSync(0, "utf8")).map(([name, ...values]) => {
  try {
    return { value: webhooks[name](...values.map((each) => (each?.query ? new URLSearchParams(each.query) : each))) };
  } catch (error) {
    return { error: String(error) };
  }
});
console.log(JSON.stringify(results));
"""
"""Program that calls functions of the TypeScript example and prints their results."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder outside of the repository in which the steps of the page have run."""
    with tempfile.TemporaryDirectory(prefix="docs-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        steps.run_steps(ROOT / "docs/webhooks.md", folder, os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        yield folder


@pytest.fixture(scope="module")
def example(folder: Path) -> ModuleType:
    """Return the module of the Python example."""
    spec = importlib.util.spec_from_file_location("webhooks_example", folder / "webhooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_typescript(folder: Path, *calls: list[Any]) -> list[dict[str, Any]]:
    """Call functions of the TypeScript example, and return a result or an error for each call."""
    (folder / "call.mjs").write_text(CALL_EXAMPLE, encoding="utf-8")
    done = subprocess.run(
        ["node", "call.mjs"],
        cwd=folder,
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def sign_requests() -> tuple[dict[str, str], ...]:
    """Return the headers of a request of the platform, of one with two secrets, of a forged and of an old one."""
    now = datetime.now(UTC)
    signed = sign_message("msg_1", now, BODY.encode(), SECRET)
    forged = sign_message("msg_1", now, BODY.encode(), OTHER_SECRET)
    both = signed | {"webhook-signature": f"{forged['webhook-signature']} {signed['webhook-signature']}"}
    return signed, both, forged, sign_message("msg_1", now - timedelta(minutes=6), BODY.encode(), SECRET)


def build_checkout_query() -> dict[str, str]:
    """Return the query parameters of a checkout page."""
    fields = {"order_id": "0b6f", "amount": "1234", "currency": "USD", "callback_url": "https://delivery.test/c?a=b"}
    now, secrets = datetime.now(UTC), [OTHER_SECRET, SECRET]
    return {
        **fields,
        **sign_checkout("0b6f", now, 1234, "USD", fields["callback_url"], secrets),
        **sign_return_url("0b6f", now, "https://app.test/", secrets),
    }


def verify_callback(headers: dict[str, str]) -> None:
    """Verify a callback as the platform does. Raises ApiError."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    verify_signature(SignedRequest(*(headers[name] for name in names), BODY.encode()), [SECRET])


def test_python_example_verifies_requests_of_platform(example: ModuleType) -> None:
    *valid, forged, old = sign_requests()
    for headers in valid:
        assert example.verify(SECRET, headers, BODY.encode()) == json.loads(BODY)
    malformed = forged | {"webhook-signature": "v1"}
    for headers, body in ((forged, BODY), (old, BODY), (malformed, BODY), ({}, BODY), (valid[0], BODY.strip("}"))):
        with pytest.raises(PermissionError):
            example.verify(SECRET, headers, body.encode())


def test_platform_verifies_callbacks_of_python_example(example: ModuleType) -> None:
    verify_callback(example.sign(SECRET, "ready-0b6f", BODY))
    with pytest.raises(ApiError):
        verify_callback(example.sign(OTHER_SECRET, "ready-0b6f", BODY))


def test_python_example_verifies_parameters_of_checkout(example: ModuleType) -> None:
    query = build_checkout_query()
    assert example.is_signed(SECRET, query, "signature", CHECKOUT)
    assert example.is_signed(SECRET, query, "return_url_signature", ["return_url"])
    assert not example.is_signed(SECRET, query | {"amount": "1"}, "signature", CHECKOUT)
    assert not example.is_signed(SECRET, query | {"timestamp": "x"}, "signature", CHECKOUT)
    assert not example.is_signed(SECRET, {}, "signature", CHECKOUT)


def test_typescript_example_verifies_requests_of_platform(folder: Path) -> None:
    signed, both, forged, old = sign_requests()
    query = build_checkout_query()
    accepted = call_typescript(
        folder,
        ["verify", SECRET, signed, BODY],
        ["verify", SECRET, both, BODY],
        ["isSigned", SECRET, {"query": query}, "signature", CHECKOUT],
        ["isSigned", SECRET, {"query": query}, "return_url_signature", ["return_url"]],
    )
    assert accepted == [{"value": json.loads(BODY)}] * 2 + [{"value": True}] * 2
    rejected = call_typescript(
        folder,
        ["verify", SECRET, forged, BODY],
        ["verify", SECRET, old, BODY],
        ["verify", SECRET, signed, BODY.strip("}")],
        ["verify", SECRET, {}, BODY],
        ["isSigned", SECRET, {"query": query | {"amount": "1"}}, "signature", CHECKOUT],
        ["isSigned", SECRET, {"query": {"order_id": "0b6f"}}, "signature", CHECKOUT],
    )
    assert ["error" in each for each in rejected[:4]] == [True] * 4
    assert rejected[4:] == [{"value": False}] * 2


def test_platform_verifies_callbacks_of_typescript_example(folder: Path) -> None:
    valid, forged = call_typescript(
        folder, ["sign", SECRET, "ready-0b6f", BODY], ["sign", OTHER_SECRET, "ready-0b6f", BODY]
    )
    verify_callback(valid["value"])
    with pytest.raises(ApiError):
        verify_callback(forged["value"])
