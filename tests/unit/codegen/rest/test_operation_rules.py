"""Rules of operations: merge patches, idempotency keys and cached responses."""

import ast
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts
from tests.unit.codegen.rest.handler_samples import (
    THING,
    cached_operation,
    generate_handlers,
    operation,
    with_paths,
)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"get": cached_operation(**{"x-cache-until-event": "partners.eaten"})},
            "operation cachedThing: the response is cached until partners.eaten, which is not",
        ),
        (
            {"get": cached_operation(**{"x-cache-until-event": "orders.paid"})},
            "operation cachedThing: the response is cached until orders.paid, of which gateway is no subscriber",
        ),
        (
            {"post": cached_operation()},
            "cachedThing: only JSON of GET without headers",
        ),
        (
            {"get": cached_operation(responses={"204": {"description": "."}})},
            "cachedThing: only JSON of GET without headers",
        ),
        (
            {
                "get": cached_operation(
                    responses={
                        "200": cached_operation()["responses"]["200"]
                        | {"headers": {"ETag": {"schema": {"type": "string"}}}}
                    }
                )
            },
            "only JSON of GET without headers can be cached",
        ),
    ],
    ids=["unknown event", "no subscription", "method", "content", "headers"],
)
def test_uncacheable_operation_is_rejected(item: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        generate_handlers(with_paths(**{"/cached": item}))


PATTERN = "^[\\x21-\\x7e]+$"


KEY = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": PATTERN}


REPLAYED = {"Idempotency-Replayed": {"schema": {"type": "string"}}}


def with_idempotency_key(key: Any, headers: dict[str, Any], **parameter: Any) -> Contracts:
    """Return the document with an operation that optionally has an idempotency key."""
    parameters = [] if key is None else [{"name": "Idempotency-Key", "in": "header", "schema": key} | parameter]
    return with_paths(
        **{"/other": operation(parameters=parameters, responses={"201": {"description": ".", "headers": headers}})}
    )


@pytest.mark.parametrize("key", [KEY, {"type": "string", "pattern": "^[!-~]{1,64}$"}])
def test_idempotency_key_is_handler_argument(key: Any) -> None:
    module = generate_handlers(with_idempotency_key(key, REPLAYED))
    (handler,) = [node for node in module.body if isinstance(node, ast.ClassDef)]
    (method,) = [node for node in handler.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "other"]
    assert ast.unparse(method.args) == "self, *, idempotency_key: str | None=None"
    assert method.returns is not None
    assert ast.unparse(method.returns) == "Response[None]"


@pytest.mark.parametrize(
    ("key", "headers", "parameter"),
    [
        (KEY, {}, {}),
        (None, REPLAYED, {}),
        (KEY, REPLAYED, {"required": True}),
        ({"type": "string"}, REPLAYED, {}),
        (KEY | {"maxLength": 65}, REPLAYED, {}),
        (KEY | {"maxLength": 63}, REPLAYED, {}),
        (KEY | {"pattern": "^[ -~]+$"}, REPLAYED, {}),
        (KEY | {"pattern": "^[A-Za-z0-9-]+$"}, REPLAYED, {}),
    ],
)
def test_invalid_idempotency_key_definition_is_rejected(
    key: Any, headers: dict[str, Any], parameter: dict[str, Any]
) -> None:
    with pytest.raises(ContractError, match="Idempotency-Key"):
        generate_handlers(with_idempotency_key(key, headers, **parameter))


@pytest.mark.parametrize("media_types", [["application/json"], ["application/merge-patch+json"]])
def test_patch_without_both_media_types_is_rejected(media_types: list[str]) -> None:
    content = dict.fromkeys(media_types, THING)
    with pytest.raises(
        ContractError,
        match="other: the patch is not a merge patch; accept one schema as application/json",
    ):
        generate_handlers(with_paths(**{"/other": {"patch": operation(requestBody={"content": content})["get"]}}))


def test_patched_resource_without_accept_patch_is_rejected() -> None:
    source = with_paths()
    del source.openapi["delivery"]["paths"]["/things/{thing_id}"]["get"]["responses"]["200"]["headers"]["Accept-Patch"]
    with pytest.raises(ContractError, match="operation getThing: the response lacks the header Accept-Patch"):
        generate_handlers(source)
