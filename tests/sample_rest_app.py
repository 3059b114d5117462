"""Sample REST API with every kind of parameter, body and response, built like the gateway's."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import httpx
import msgspec
import yaml
from starlette.types import ASGIApp

from codegen.rest.published_openapi import publish_document
from services.runtime.concurrency.request_limits import RequestLimits
from services.runtime.core.principal import PAYLOAD_HEADER, Principal, TokenRevocations
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.app import build_app
from services.runtime.rest.static_documents import build_problem_pages
from services.runtime.rest.types import BinaryResponse, Event, Operation, Response, Upload

SPECIFICATION: dict[str, Any] = yaml.load(
    r"""
openapi: 3.1.0
info: {title: Sample, version: 1.0.0}
servers: [{url: /api/v1}]
security: []
paths:
  /things/{thing_id}:
    parameters:
      - {name: thing_id, in: path, required: true, schema: {type: string, pattern: '^[a-z0-9]+$'}}
    get:
      operationId: getThing
      security: [{bearer: []}]
      parameters: [{name: If-None-Match, in: header, schema: {type: string}}]
      responses:
        '200':
          description: The thing.
          headers: {Accept-Patch: {required: true, schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
    patch:
      operationId: updateThing
      security: [{bearer: []}]
      parameters: [{name: If-Match, in: header, schema: {type: string, maxLength: 40}}]
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/ThingPatch'}}
          application/merge-patch+json: {schema: {$ref: '#/components/schemas/ThingPatch'}}
      responses:
        '200': {description: The thing., content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
    delete:
      operationId: deleteThing
      security: [{bearer: []}]
      responses: {'204': {description: Deleted.}}
  /things/latest:
    get:
      operationId: getLatest
      responses:
        '200': {description: The thing., content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
  /things:
    get:
      operationId: listThings
      parameters:
        - {name: page_size, in: query, schema: {type: integer, minimum: 1, maximum: 100, default: 20}}
        - {name: ratio, in: query, schema: {type: number}}
        - {name: flag, in: query, schema: {type: boolean}}
        - {name: q, in: query, schema: {type: string, maxLength: 100}}
        - {name: kind, in: query, schema: {$ref: '#/components/schemas/Kind'}}
        - {name: order, in: query, schema: {type: string, enum: [small, large], default: small}}
        - {name: day, in: query, schema: {type: string, format: date}}
        - {name: at, in: query, schema: {type: string, format: date-time}}
      responses: {'204': {description: Listed.}}
    post:
      operationId: createThing
      security: [{bearer: []}]
      parameters:
        - {name: Idempotency-Key, in: header, schema: {type: string, pattern: '^[\x21-\x7e]{1,64}$'}}
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
      responses:
        '201':
          description: Created.
          headers:
            Idempotency-Replayed: {schema: {type: string, const: 'true'}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
  /things/{thing_id}/picture:
    parameters:
      - {name: thing_id, in: path, required: true, schema: {type: string, pattern: '^[a-z0-9]+$'}}
    get:
      operationId: getPicture
      responses:
        '200':
          description: The picture.
          headers:
            ETag: {required: true, schema: {type: string}}
            Cache-Control: {schema: {type: string}}
          content: {image/png: {}, image/webp: {}}
    put:
      operationId: putPicture
      x-max-bytes: 200000
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema: {type: object, required: [picture], properties: {picture: {type: string, format: binary}}}
            encoding: {picture: {contentType: 'image/png, image/jpeg'}}
      responses: {'204': {description: Accepted.}}
  /things/{thing_id}/events:
    parameters:
      - {name: thing_id, in: path, required: true, schema: {type: string, pattern: '^[a-z0-9]+$'}}
    get:
      operationId: watchThing
      security: [{bearer: []}]
      parameters: [{name: Last-Event-ID, in: header, schema: {type: integer, minimum: 0}}]
      responses:
        '200': {description: Changes., content: {text/event-stream: {schema: {$ref: '#/components/schemas/Thing'}}}}
        '204': {description: Nothing will follow.}
  /callbacks/{thing_id}:
    parameters:
      - {name: thing_id, in: path, required: true, schema: {type: string, pattern: '^[a-z0-9]+$'}}
    post:
      operationId: callback
      security: [{webhook: []}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Open'}}}}
      responses: {'202': {description: Accepted.}}
components:
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    webhook: {type: apiKey, in: header, name: webhook-signature}
  schemas:
    Kind: {type: string, enum: [small, large]}
    Thing:
      type: object
      additionalProperties: false
      required: [id, count]
      properties:
        id: {type: string, minLength: 1, maxLength: 40}
        count: {type: integer, minimum: 0, maximum: 9007199254740991}
        born: {type: string, format: date}
        tags: {type: array, items: {type: string, maxLength: 20}}
    ThingPatch:
      type: object
      additionalProperties: false
      minProperties: 1
      properties:
        id: {type: string, minLength: 1, maxLength: 40}
        count: {type: [integer, 'null'], minimum: 0}
        born: {type: [string, 'null'], format: date}
        tags: {type: [array, 'null'], items: {type: string, maxLength: 20}}
        kind: {oneOf: [{$ref: '#/components/schemas/Kind'}, {type: 'null'}]}
        colour: {$ref: '#/components/schemas/Colour'}
    Colour: {type: string, default: red}
    Open: {type: object, required: [id], properties: {id: {type: string}}}
""",
    Loader=yaml.CSafeLoader,
)


class Kind(StrEnum):
    small = "small"
    large = "large"


class Thing(msgspec.Struct, kw_only=True):
    id: str
    count: int
    born: date | msgspec.UnsetType = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET


class ThingPatch(msgspec.Struct, kw_only=True):
    """Merge patch as generated from the document."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    count: int | msgspec.UnsetType | None = msgspec.UNSET
    born: date | msgspec.UnsetType | None = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    kind: Kind | msgspec.UnsetType | None = msgspec.UNSET
    colour: str | msgspec.UnsetType = msgspec.UNSET


class ThingsHandler:
    """Handler base class as generated from the document."""


class RecordingThingsHandler(ThingsHandler):
    """Handler that records its calls and returns the result of `respond`."""

    def __init__(self, respond: Callable[[], Any] = lambda: None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._respond = respond

    def _record_call(self, arguments: dict[str, Any]) -> Any:
        self.calls.append({name: value for name, value in arguments.items() if name != "self"})
        return self._respond()

    async def get_thing(self, *, principal: Principal, thing_id: str) -> Response[Thing]:
        response: Response[Thing] = self._record_call(locals())
        return response

    async def update_thing(
        self, *, principal: Principal, thing_id: str, body: ThingPatch, if_match: str | None = None
    ) -> Response[Thing]:
        response: Response[Thing] = self._record_call(locals())
        return response

    async def delete_thing(self, *, principal: Principal, thing_id: str) -> None:
        self._record_call(locals())

    async def get_latest(self) -> Thing:
        thing: Thing = self._record_call(locals())
        return thing

    async def list_things(
        self,
        *,
        page_size: int = 20,
        ratio: float | None = None,
        flag: bool | None = None,
        q: str | None = None,
        kind: Kind | None = None,
        order: Kind = Kind.small,
        day: date | None = None,
        at: datetime | None = None,
    ) -> None:
        self._record_call(locals())

    async def create_thing(
        self, *, principal: Principal, body: Thing, idempotency_key: str | None = None
    ) -> Response[Thing]:
        response: Response[Thing] = self._record_call(locals())
        return response

    async def get_picture(self, *, thing_id: str) -> Response[BinaryResponse]:
        response: Response[BinaryResponse] = self._record_call(locals())
        return response

    async def put_picture(self, *, thing_id: str, body: Upload) -> None:
        self._record_call(locals())

    def watch_thing(
        self, *, principal: Principal, thing_id: str, last_event_id: int | None = None
    ) -> AsyncIterator[Event[Thing]]:
        events: AsyncIterator[Event[Thing]] = self._record_call(locals())
        return events

    async def callback(self, *, webhook: SignedRequest, thing_id: str) -> None:
        self._record_call(locals())


JSON = "application/json"
OPERATIONS: dict[str, Operation] = {
    "getThing": Operation(ThingsHandler, "get_thing", None, 200, JSON),
    "updateThing": Operation(ThingsHandler, "update_thing", ThingPatch, 200, JSON),
    "deleteThing": Operation(ThingsHandler, "delete_thing", None, 204, ""),
    "getLatest": Operation(ThingsHandler, "get_latest", None, 200, JSON),
    "listThings": Operation(ThingsHandler, "list_things", None, 204, ""),
    "createThing": Operation(ThingsHandler, "create_thing", Thing, 201, JSON),
    "getPicture": Operation(ThingsHandler, "get_picture", None, 200, "image/png"),
    "putPicture": Operation(ThingsHandler, "put_picture", Upload, 204, ""),
    "watchThing": Operation(ThingsHandler, "watch_thing", None, 200, "text/event-stream"),
    "callback": Operation(ThingsHandler, "callback", None, 202, ""),
}

THING = Thing(id="a1", count=3)


def build_identity_headers(**claims: Any) -> dict[str, str]:
    """Return the identity headers that the sidecar sends for a user."""
    payload = json.dumps({"sub": "user-1", "exp": 2_000_000_000} | claims).encode()
    encoded = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    return {PAYLOAD_HEADER: encoded, "authorization": "Bearer a.b.c"}


IDENTITY_HEADERS: Mapping[str, str] = build_identity_headers()
WEBHOOK_HEADERS = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,c2ln"}


def create_app(
    handler: ThingsHandler,
    *,
    validate_responses: bool = True,
    token_revocations: TokenRevocations | None = None,
    limits: RequestLimits | None = None,
) -> ASGIApp:
    """Return the application of the published document, as the gateway builds its own."""
    return build_app(
        publish_document(SPECIFICATION),
        [handler],
        OPERATIONS,
        build_problem_pages(),
        {},
        validate_responses=validate_responses,
        token_revocations=token_revocations,
        limits=limits,
    )


def send_request(app: ASGIApp, method: str, path: str, **request: Any) -> httpx.Response:
    """Send one request to the application without a server."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


def assert_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Check that the response is a complete problem document, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    optional_names = {"instance", "errors", "max_bytes", "total_amount", "currency"}
    assert document.keys() - optional_names == {"type", "title", "status", "detail", "reason", "trace_id"}
    assert (document["type"], document["status"], document["reason"]) == (f"/problems/{reason}", status, reason)
    return document
