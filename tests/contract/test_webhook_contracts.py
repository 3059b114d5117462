"""Published contracts of partners and banks: links, and test vectors of signatures."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.mesh_config import ROOT
from services.gateway.app import OPENAPI_FOLDER, SYSTEM_CONTRACTS, WEBHOOKS
from services.orders.entrypoints.payment_instructions import sign_checkout, sign_return_url
from services.runtime.outbound.webhooks import sign_message
from services.runtime.rest.static_documents import load_openapi_documents

DOCUMENTS = load_openapi_documents(OPENAPI_FOLDER, "delivery", *SYSTEM_CONTRACTS, WEBHOOKS)
SECTIONS = ("Responses and retries", "Timeouts", "Idempotency", "Signatures")


def load_document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / f"generated/openapi/{name}.json").read_text(encoding="utf-8"))
    return document


def parse_vectors(description: str) -> list[dict[str, str]]:
    """Return the test vectors, whose lines are `name: value`."""
    blocks = re.findall(r"```text\n(secret: .*?)```", description, re.DOTALL)
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.mark.parametrize("name", SYSTEM_CONTRACTS)
def test_vector_of_contract_is_signed_as_documented(name: str) -> None:
    [vector] = parse_vectors(load_document(name)["info"]["description"])
    key = base64.b64decode(vector["secret"].removeprefix("whsec_"))
    content = f"{vector['webhook-id']}.{vector['webhook-timestamp']}.{vector['body']}"
    digest = hmac.digest(key, content.encode(), hashlib.sha256)
    assert vector["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    sent_at = datetime.fromtimestamp(int(vector["webhook-timestamp"]), UTC)
    headers = sign_message(vector["webhook-id"], sent_at, vector["body"].encode(), vector["secret"])
    assert headers.items() <= vector.items()


def test_vectors_of_checkout_are_signed_as_documented() -> None:
    operation = load_document("payment-system")["webhooks"]["checkout"]["get"]
    vector, return_vector = parse_vectors(operation["description"])
    order_id, timestamp, amount, currency, callback_url = vector["content"].split(".", 4)
    created_at = datetime.fromtimestamp(int(timestamp), UTC)
    signed = sign_checkout(order_id, created_at, int(amount), currency, callback_url, [vector["secret"]])
    assert signed == {"timestamp": timestamp, "signature": vector["signature"]}
    order_id, timestamp, return_url = return_vector["content"].split(".", 2)
    created_at = datetime.fromtimestamp(int(timestamp), UTC)
    signed = sign_return_url(order_id, created_at, return_url, [return_vector["secret"]])
    assert signed == {"return_url": return_url, "return_url_signature": return_vector["signature"]}


@pytest.mark.parametrize("name", SYSTEM_CONTRACTS)
def test_request_of_platform_is_webhook_with_description_of_its_system(name: str) -> None:
    contract, webhooks = load_document(name), load_document(WEBHOOKS)
    operations = [operation for item in contract["paths"].values() for key, operation in item.items() if key == "post"]
    assert {each["operationId"] for each in operations} <= webhooks["webhooks"].keys()
    for operation in operations:
        webhook = webhooks["webhooks"][operation["operationId"]]["post"]
        assert webhook["requestBody"] == operation["requestBody"]
        assert webhook["responses"] == operation["responses"]
        assert webhook["tags"] == [contract["info"]["title"]]
    [description] = [each["description"] for each in webhooks["tags"] if each["name"] == contract["info"]["title"]]
    assert [section for section in SECTIONS if f"\n## {section}\n" not in description] == []


def test_document_of_webhooks_contains_requests_of_platform_only() -> None:
    assert list(load_document(WEBHOOKS)["webhooks"]) == [
        "sendOrder",
        "cancelPartnerOrder",
        "requestRefund",
        "listPayments",
    ]


def test_every_document_that_the_api_links_is_published() -> None:
    texts = [json.dumps(load_document(name)) for name in ("delivery", WEBHOOKS)]
    links = {link for text in texts for link in re.findall(r"\]\((/openapi[^)]*)\)", text)}
    names = ("partner-system", "payment-system", "webhooks")
    assert links == {"/openapi.yaml", *(f"/openapi/{name}.yaml" for name in names)}
    assert links <= DOCUMENTS.keys()
