"""Document of the webhooks: operations of the contracts of other systems that the platform calls with a signature."""

import copy
import json
from typing import Any

import pytest
import yaml

from codegen.contracts import ContractError, Contracts
from codegen.rest.published_openapi import generate
from codegen.rest.webhooks import build_document
from tests.unit.codegen.sample_contracts import create_contracts

KITCHEN: dict[str, Any] = yaml.load(
    """
openapi: 3.1.0
info: {title: Kitchen, version: 2.0.0, summary: System of a kitchen., description: Retried for a day.}
servers: [{url: '{api_url}', description: Any kitchen., variables: {api_url: {default: 'http://kitchen.test'}}}]
security: [{webhook: []}]
tags: [{name: meals, description: Meals.}]
paths:
  /meals/{meal_id}:
    parameters:
      - {name: meal_id, in: path, required: true, schema: {type: string}}
      - {$ref: '#/components/parameters/WebhookId'}
    put:
      operationId: sendMeal
      tags: [meals]
      summary: Send a meal
      description: Idempotent.
      x-timeout: 3s
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Meal'}}}}
      responses: {'204': {description: Accepted.}}
    get:
      operationId: getMeal
      tags: [meals]
      security: []
      responses: {'200': {description: The meal.}}
components:
  securitySchemes:
    webhook: {type: apiKey, in: header, name: webhook-signature}
    unused: {type: http, scheme: basic}
  parameters:
    WebhookId: {name: webhook-id, in: header, required: true, schema: {$ref: '#/components/schemas/Id'}}
  schemas:
    Id: {type: string, maxLength: 10}
    Meal: {type: object, properties: {courses: {type: array, items: {$ref: '#/components/schemas/Course'}}}}
    Course: {type: object, properties: {id: {$ref: '#/components/schemas/Id'}}}
    Unused: {type: string}
""",
    Loader=yaml.CSafeLoader,
)


def create_source(**documents: Any) -> Contracts:
    """Return the sample contracts with the documents of other systems."""
    source = create_contracts()
    source.openapi.update(documents)
    return source


def create_kitchen(**changes: Any) -> dict[str, Any]:
    """Return a copy of the kitchen's document with other operation ids, and other values of keys."""
    text = json.dumps(KITCHEN).replace("sendMeal", "sendOtherMeal")
    return {**json.loads(text), **changes}


def test_signed_operation_of_system_is_webhook_without_path_parameter() -> None:
    document = build_document(create_source(kitchen=KITCHEN))
    assert document is not None
    assert document["webhooks"] == {
        "sendMeal": {
            "put": KITCHEN["paths"]["/meals/{meal_id}"]["put"]
            | {
                "tags": ["Kitchen"],
                "description": "Sent as `PUT {api_url}/meals/{meal_id}`. Idempotent.",
                "parameters": [{"$ref": "#/components/parameters/WebhookId"}],
            }
        }
    }
    assert "paths" not in document


def test_document_contains_only_components_of_its_webhooks() -> None:
    document = build_document(create_source(kitchen=KITCHEN))
    assert document is not None
    assert {section: set(components) for section, components in document["components"].items()} == {
        "securitySchemes": {"webhook"},
        "parameters": {"WebhookId"},
        "schemas": {"Id", "Meal", "Course"},
    }


def test_tag_contains_link_and_description_of_the_contract() -> None:
    document = build_document(create_source(kitchen=KITCHEN))
    assert document is not None
    description = "[Contract](/openapi/kitchen.yaml): System of a kitchen.\n\nRetried for a day."
    assert document["tags"] == [{"name": "Kitchen", "description": description}]
    assert document["servers"] == KITCHEN["servers"]
    assert (document["info"]["title"], document["info"]["version"]) == ("Sample: webhooks", "1.2.3")


def test_contracts_share_equal_components() -> None:
    document = build_document(create_source(kitchen=KITCHEN, bakery=create_kitchen()))
    assert document is not None
    assert list(document["webhooks"]) == ["sendMeal", "sendOtherMeal"]
    assert set(document["components"]["schemas"]) == {"Id", "Meal", "Course"}


def test_different_components_with_one_name_are_rejected() -> None:
    bakery = create_kitchen(components=copy.deepcopy(KITCHEN["components"]))
    bakery["components"]["schemas"]["Id"]["maxLength"] = 11
    with pytest.raises(ContractError, match=r"bakery.yaml: schema Id: another contract .* defines it differently"):
        build_document(create_source(kitchen=KITCHEN, bakery=bakery))


def test_operation_id_of_two_webhooks_is_rejected() -> None:
    with pytest.raises(ContractError, match=r"bakery.yaml: operation sendMeal: another contract has a webhook"):
        build_document(create_source(kitchen=KITCHEN, bakery=KITCHEN))


def test_webhook_without_operation_id_is_rejected() -> None:
    kitchen = copy.deepcopy(KITCHEN)
    del kitchen["paths"]["/meals/{meal_id}"]["put"]["operationId"]
    with pytest.raises(ContractError, match="the webhook has no operationId, which names it; add one"):
        build_document(create_source(kitchen=kitchen))


def test_contract_with_name_of_the_document_is_rejected() -> None:
    with pytest.raises(ContractError, match=r"webhooks.yaml: .*webhooks is the name of the generated document"):
        build_document(create_source(webhooks=KITCHEN))


def test_contracts_without_signed_requests_have_no_document() -> None:
    assert build_document(create_source(kitchen=KITCHEN | {"security": []})) is None
    assert not [name for name in generate(create_contracts()) if "webhooks" in name]


def test_document_is_published_without_internal_extensions() -> None:
    files = generate(create_source(kitchen=KITCHEN))
    published = json.loads(files["openapi/webhooks.json"])
    assert published == yaml.load(files["openapi/webhooks.yaml"], Loader=yaml.CSafeLoader)
    assert "x-timeout" not in published["webhooks"]["sendMeal"]["put"]
