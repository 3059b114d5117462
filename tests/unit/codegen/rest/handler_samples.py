"""Sample document with operations of every kind, and the generation of its handlers."""

import ast
import copy
import dataclasses
from functools import cache
from typing import Any

import yaml

from codegen import contracts
from codegen.contracts import Contracts
from codegen.rest import handlers
from deploy.local.mesh_config import ROOT

DOCUMENT = yaml.load(
    """
openapi: 3.1.0
tags: [{name: things, description: All things.}]
paths:
  /things/{thing_id}:
    parameters: [{$ref: '#/components/parameters/ThingId'}]
    get:
      operationId: getThing
      tags: [things]
      summary: Read it
      description: Shown to everyone.
      parameters:
        - {name: If-None-Match, in: header, schema: {type: string}}
        - {name: q, in: query, schema: {type: string}}
        - {name: page_size, in: query, schema: {type: integer, default: 20}}
        - {name: at, in: query, required: true, schema: {type: string, format: date-time}}
      responses:
        '200':
          description: It.
          headers: {ETag: {schema: {type: string}}, Accept-Patch: {schema: {}}, x-request-id: {schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
        '404': {description: No.}
    patch:
      operationId: updateThing
      tags: [things]
      security: [{bearer: [customer]}, {bearer: [admin]}]
      requestBody:
        content:
          application/json: {schema: {$ref: '#/components/schemas/Thing'}}
          application/merge-patch+json: {schema: {$ref: '#/components/schemas/Thing'}}
      responses:
        '200':
          description: It.
          headers: {x-request-id: {schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
    delete:
      operationId: deleteThing
      tags: [things]
      security: [{bearer: []}]
      responses: {'204': {description: Deleted.}}
  /things/{thing_id}/picture:
    parameters: [{$ref: '#/components/parameters/ThingId'}]
    get:
      operationId: getPicture
      tags: [things]
      responses:
        '200': {description: It., headers: {ETag: {schema: {}}}, content: {image/*: {schema: {type: string}}}}
    put:
      operationId: putPicture
      x-max-bytes: 9
      tags: [things]
      requestBody:
        content:
          multipart/form-data:
            schema: {type: object, required: [picture], properties: {picture: {type: string, format: binary}}}
            encoding: {picture: {contentType: image/png}}
      responses: {'204': {description: Stored.}}
  /callbacks:
    post:
      operationId: callback
      tags: [things]
      security: [{webhook: []}]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
      responses: {'202': {description: Accepted.}}
components:
  parameters:
    ThingId: {name: thing_id, in: path, required: true, schema: {$ref: '#/components/schemas/Id'}}
  schemas:
    Id: {type: string}
    Thing: {type: object, properties: {id: {$ref: '#/components/schemas/Id'}}}
""",
    Loader=yaml.CSafeLoader,
)

THING = {"schema": {"$ref": "#/components/schemas/Thing"}}


@cache
def repository_contracts() -> Contracts:
    return contracts.load(ROOT)


def with_paths(**paths: Any) -> Contracts:
    """Return the document with additional paths."""
    document = copy.deepcopy(DOCUMENT)
    document["paths"] |= paths
    return dataclasses.replace(repository_contracts(), openapi={"delivery": document}, files={})


def generate_handlers(source: Contracts) -> ast.Module:
    return ast.parse(str(handlers.generate(source)["rest/delivery/handlers.py"]))


def cached_operation(**changes: Any) -> dict[str, Any]:
    """Return an operation with a response that is cached until an event."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    raw = {
        "operationId": "cachedThing",
        "tags": ["things"],
        "security": [{"bearer": []}],
        "x-cache-until-event": "partners.catalog_changed",
        "responses": {"200": {"description": ".", "content": content}},
    }
    return raw | changes


def operation(**changes: Any) -> dict[str, Any]:
    return {"get": {"operationId": "other", "tags": ["things"], "responses": {"204": {"description": "."}}} | changes}
