"""A document with all supported kinds of operations, parameters, bodies and responses."""

from typing import Any

import yaml

from codegen.rest.problem_examples import TOKEN_REASONS
from tests.unit.codegen.openapi.sample_documents import PROBLEMS

DOCUMENT: dict[str, Any] = yaml.load(
    """
openapi: 3.1.0
info: {title: Sample, version: 1.0.0}
servers: [{url: /api/v1}]
tags: [{name: order-items}]
security: [{bearer: []}]
paths:
  /things/{item-id}:
    parameters:
      - {name: item-id, in: path, required: true, schema: {type: string}}
    get:
      operationId: things.get
      tags: [order-items]
      parameters:
        - {name: item-id, in: path, required: true, schema: {type: integer}}
        - {name: statuses, in: query, schema: {type: array, maxItems: 3, items: {$ref: '#/components/schemas/status'}}}
        - {name: ids, in: query, explode: false, schema: {type: array, items: {type: integer, maximum: 9}}}
        - {name: $filter, in: query, schema: {type: string}}
        - {name: 'filter[status]', in: query, schema: {$ref: '#/components/schemas/status'}}
        - {name: from, in: query, schema: {type: string, format: date}}
        - {name: days, in: query, schema: {type: array, items: {type: string, format: date}}}
        - {name: level, in: query, schema: {$ref: '#/components/schemas/Level'}}
        - {name: other, in: query, schema: {type: integer, enum: [1, 2], default: 2}}
        - {name: alias, in: query, schema: {$ref: '#/components/schemas/StatusAlias'}}
        - {name: X-Tags, in: header, schema: {type: array, items: {type: boolean}}}
        - {name: session, in: cookie, schema: {type: string, maxLength: 5}}
      responses:
        '200': {description: Fine., content: {application/json: {schema: {$ref: '#/components/schemas/Operation'}}}}
        default: {description: An error.}
    head:
      operationId: headThing
      tags: [order-items]
      responses: {'204': {description: Fine.}}
  /ranges/{first}-{last}:
    get:
      operationId: getRange
      tags: [order-items]
      parameters:
        - {name: first, in: path, required: true, schema: {type: integer}}
        - {name: last, in: path, required: true, schema: {type: integer}}
      responses: {'204': {description: Fine.}}
  /files/{names}.json:
    get:
      operationId: import
      tags: [order-items]
      parameters:
        - {name: names, in: path, required: true, schema: {type: array, minItems: 1, items: {type: string}}}
      responses: {'204': {description: Fine.}}
  /things:batch:
    post:
      operationId: batch
      tags: [order-items]
      requestBody:
        required: true
        content: {application/vnd.sample+json: {schema: {type: array, items: {$ref: '#/components/schemas/Event'}}}}
      responses:
        '200':
          description: Fine.
          content: {application/vnd.api+json: {schema: {$ref: '#/components/schemas/Counts'}}}
  /forms:
    post:
      operationId: sendForm
      tags: [order-items]
      requestBody:
        required: true
        content: {application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/Form'}}}
      responses:
        '200': {description: Fine., content: {application/json: {schema: {type: string}}}}
  /uploads:
    post:
      operationId: upload
      tags: [order-items]
      security: [{}, {bearer: []}]
      x-max-bytes: 5000
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              additionalProperties: false
              required: [picture, title]
              properties:
                picture: {type: string, format: binary}
                title: {type: string, maxLength: 5}
                class: {$ref: '#/components/schemas/status'}
                day: {type: string, format: date}
                level: {type: integer, default: 3}
                tags: {type: array, items: {type: integer}}
            encoding: {picture: {contentType: image/png}}
      responses: {'204': {description: Fine.}}
  /notes:
    post:
      operationId: sendNote
      tags: [order-items]
      x-max-bytes: 5000
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema: {type: object, properties: {text: {type: string}, file: {type: string, format: binary}}}
            encoding: {file: {contentType: image/png}}
      responses: {'204': {description: Fine.}}
  /trees:
    post:
      operationId: growTree
      tags: [order-items]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Tree'}}}}
      responses:
        '200': {description: Fine., content: {application/json: {schema: {$ref: '#/components/schemas/Tree'}}}}
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  schemas:
    status: {type: string, enum: [paid, ready]}
    StatusAlias: {$ref: '#/components/schemas/status'}
    Level: {type: integer, enum: [1, 2]}
    Counts: {type: object, additionalProperties: {type: integer}}
    Operation: {type: object, required: [id], properties: {id: {type: string}}}
    Event:
      allOf:
        - {$ref: '#/components/schemas/Operation'}
        - {type: object, properties: {level: {$ref: '#/components/schemas/Level'}}}
      unevaluatedProperties: false
    Form:
      type: object
      additionalProperties: false
      required: [amount]
      properties:
        amount: {type: integer}
        paid: {type: boolean}
        tags: {type: array, items: {type: string}}
        class: {type: string, default: none}
    Tree:
      type: object
      additionalProperties: false
      properties: {children: {type: array, items: {$ref: '#/components/schemas/Tree'}}}
""",
    Loader=yaml.CSafeLoader,
)

DOCUMENT["x-problems"] = PROBLEMS | {reason: PROBLEMS[reason] | {"status": 401} for reason in TOKEN_REASONS}
DOCUMENT["components"] |= {"headers": {}}
DOCUMENT["components"]["schemas"]["Problem"] = {"type": "object", "properties": {"reason": {"type": "string"}}}
for _item in DOCUMENT["paths"].values():
    for _method in _item.keys() & {"get", "head", "post"}:
        _item[_method]["responses"] |= {status: {"description": "An error."} for status in ("400", "401", "413", "415")}
