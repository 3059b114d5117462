"""Small contracts for tests of the generators: an OpenAPI document, methods and events built in memory."""

import copy
from typing import Any

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.contracts import REPOSITORY, Contracts
from codegen.envoy.local_replies import REASON_BY_STATUS
from codegen.mesh import load_mesh
from codegen.protobuf import Event, Method, ProtoContracts, Service

type Document = dict[str, Any]

_PROBLEMS = {
    reason: {
        "status": status,
        "grpc": "UNKNOWN",
        "title": f"Title of {reason}",
        "description": f"Description of {reason}.",
        "detail": {"en": f"100% {reason}.", "de": f"100 % '{reason}'."},
    }
    for status, reason in reversed(REASON_BY_STATUS.items())
}
_OPENAPI: Document = yaml.load(
    """
openapi: 3.1.0
info: {title: Sample, version: 1.2.3, contact: {name: Team}, license: {name: Apache-2.0, identifier: Apache-2.0}}
servers: [{url: /api/v1}]
security: []
tags: [{name: notes, description: All notes.}, {name: callbacks, description: Webhooks.}]
paths:
  /notes/{note_id}:
    parameters: [{$ref: '#/components/parameters/NoteId'}]
    get:
      operationId: getNote
      x-reasons: [NOT_FOUND]
      tags: [notes]
      security: [{bearer: [customer]}, {bearer: [admin]}]
      responses:
        '200':
          description: The note.
          headers:
            ETag: {schema: {type: string}}
            Accept-Patch: {schema: {type: string}}
            x-request-id: {schema: {type: string}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Note'}}}
        '404': {$ref: '#/components/responses/NotFound'}
    patch:
      operationId: updateNote
      tags: [notes]
      security: [{bearer: []}]
      x-timeout: 3s
      requestBody:
        content:
          application/json: {schema: {$ref: '#/components/schemas/NotePatch'}}
          application/merge-patch+json: {schema: {$ref: '#/components/schemas/NotePatch'}}
      responses: {'204': {description: Changed.}}
  /notes/latest:
    get:
      operationId: getLatestNote
      tags: [notes]
      responses:
        '200': {description: The note., content: {application/json: {schema: {$ref: '#/components/schemas/Note'}}}}
  /notes/{note_id}/events:
    parameters: [{$ref: '#/components/parameters/NoteId'}]
    get:
      operationId: watchNote
      tags: [notes]
      security: [{bearer: []}]
      responses:
        '200': {description: Changes., content: {text/event-stream: {schema: {$ref: '#/components/schemas/Note'}}}}
        '204': {description: Nothing will follow.}
  /callbacks:
    post:
      operationId: receiveCallback
      tags: [callbacks]
      security: [{webhook: []}]
      x-max-bytes: 1024
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Note'}}}}
      responses: {'202': {description: Accepted.}}
components:
  headers: {}
  parameters:
    NoteId: {name: note_id, in: path, required: true, schema: {$ref: '#/components/schemas/NoteId'}}
  responses:
    NotFound: {description: No such note., content: {application/problem+json: {}}}
  schemas:
    NoteId: {type: string, minLength: 1}
    Note:
      type: object
      required: [id]
      properties: {id: {$ref: '#/components/schemas/NoteId'}, text: {type: string, maxLength: 100}}
    NotePatch: {type: object, properties: {text: {type: string}}}
    Problem: {type: object, properties: {reason: {type: string}}}
""",
    Loader=yaml.CSafeLoader,
)
_OPENAPI["x-problems"] = _PROBLEMS


def create_openapi() -> Document:
    """Return a copy of the OpenAPI document, which the test may change."""
    return copy.deepcopy(_OPENAPI)


def create_method(name: str, service: str = "notes", **changes: Any) -> Method:
    """Return an idempotent method of `delivery.<service>.v1` that the gateway may call without a user."""
    package = f"delivery.{service}.v1"
    fields: dict[str, Any] = {
        "service": f"{package}.{service.title()}Service",
        "name": name,
        "comment": f"{name} of {service}.",
        "request": f"{package}.{name}Request",
        "response": f"{package}.{name}Response",
        "server_streaming": False,
        "idempotency": "NO_SIDE_EFFECTS",
        "callers": ("gateway",),
        "actor_required": False,
        "timeout_s": 2.5,
        "attempts": 1,
    }
    return Method(**(fields | changes))


def create_stream(name: str, service: str = "notes", **changes: Any) -> Method:
    """Return a method that streams responses without a timeout."""
    return create_method(name, service, **({"server_streaming": True, "timeout_s": None} | changes))


def create_service(service: str, *methods: Method) -> Service:
    """Return a service of the package `delivery.<service>.v1`."""
    package, name = f"delivery.{service}.v1", f"{service.title()}Service"
    return Service(f"{package}.{name}", package, name, f"All {service}.", methods)


def create_event(name: str, **changes: Any) -> Event:
    """Return an event of the service `notes` with one queue."""
    fields: dict[str, Any] = {
        "message": f"delivery.events.v1.{name}",
        "type": f"notes.{name.lower()}",
        "producer": "notes",
        "queues": ("archive.history",),
        "priority_queue": "",
        "subscribers": (),
        "subject": "note_id",
        "comment": f"{name} happened.",
    }
    return Event(**(fields | changes))


def create_contracts(
    *services: Service,
    events: tuple[Event, ...] = (),
    openapi: Document | None = None,
    pool: DescriptorPool | None = None,
    callers: tuple[str, ...] = ("gateway", "notes", "archive"),
    mesh: Document | None = None,
) -> Contracts:
    """Return contracts with the sample OpenAPI document unless another is given; an empty one is omitted.

    The mesh is that of the repository by default.
    """
    document = create_openapi() if openapi is None else openapi
    protos = ProtoContracts(FileDescriptorSet(), pool or DescriptorPool(), services, events, callers)
    return Contracts({"delivery": document} if document else {}, protos, mesh or load_mesh(REPOSITORY))
