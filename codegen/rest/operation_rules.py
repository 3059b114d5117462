"""Rules of operations of the public API: merge patches, idempotency keys and cached responses."""

from jsonschema_rs import Draft202012Validator

from codegen.contracts import ContractError, Contracts
from codegen.naming import get_constant_name
from codegen.rest.operations import Operation

PATCH_MEDIA_TYPES = ("application/json", "application/merge-patch+json")

IDEMPOTENCY_KEY_HEADER, IDEMPOTENCY_REPLAYED_HEADER = "idempotency-key", "idempotency-replayed"
VALID_KEYS = ("!", "~", "a" * 64, 'A,b;c="d"')
INVALID_KEYS = ("", "a" * 65, "a b", " ", "\t", "\x7f", "\x00", "é", 1, None)
"""Samples for the rule of idempotency keys: 1 to 64 visible ASCII characters."""

CACHE_UNTIL_EVENT_EXTENSION = "x-cache-until-event"
GATEWAY = "gateway"
"""The service that implements the API."""


def check_merge_patch(contracts: Contracts, operation: Operation) -> None:
    """Raise ContractError if a merge patch or the resource that it changes lacks a media type or Accept-Patch."""
    schemas = [content["schema"] for content in (operation.body or {}).values()]
    if tuple(operation.body or ()) != PATCH_MEDIA_TYPES or any(schema != schemas[0] for schema in schemas):
        media_types = " and ".join(PATCH_MEDIA_TYPES)
        raise operation.create_error("the patch is not a merge patch", f"accept one schema as {media_types}")
    read = contracts.openapi[contracts.name]["paths"][operation.path].get("get", {})
    successes = [each for status, each in read.get("responses", {}).items() if status.startswith("2")]
    headers = [contracts.resolve_reference(contracts.name, each).get("headers", {}) for each in successes]
    if not all("Accept-Patch" in each for each in headers):
        location = contracts.format_location(contracts.name, "paths", operation.path, "get")
        raise ContractError(f"{location}: the response lacks the header Accept-Patch, but PATCH exists; add it")


def check_idempotency(contracts: Contracts, operation: Operation) -> None:
    """Raise ContractError if the key, its format or the header Idempotency-Replayed violates the rule."""
    keys = [parameter for parameter in operation.parameters if parameter["name"].lower() == IDEMPOTENCY_KEY_HEADER]
    if bool(keys) != (IDEMPOTENCY_REPLAYED_HEADER in {name.lower() for name in operation.headers}):
        present, absent = ("Idempotency-Key", "Idempotency-Replayed")[:: 1 if keys else -1]
        raise operation.create_error(f"{present} needs {absent}", "add it, or remove both")
    for key in keys:
        is_valid = Draft202012Validator(contracts.resolve_reference(contracts.name, key["schema"])).is_valid
        if key.get("required") or not all(map(is_valid, VALID_KEYS)) or any(map(is_valid, INVALID_KEYS)):
            rule = "make it optional, with the pattern ^[\\x21-\\x7e]{1,64}$"
            raise operation.create_error("Idempotency-Key has other values than 1 to 64 visible characters", rule)


def cache_until_event(contracts: Contracts, operation: Operation) -> str:
    """Return the constant of the event that invalidates the cached response; empty for an uncached operation."""
    if CACHE_UNTIL_EVENT_EXTENSION not in operation.raw:
        return ""
    event_type = operation.raw[CACHE_UNTIL_EVENT_EXTENSION]
    event = next((each for each in contracts.protos.events if each.type == event_type), None)
    if event is None:
        raise operation.create_error(f"the response is cached until {event_type}, which is not an event", "correct it")
    if GATEWAY not in event.subscribers:
        problem = f"the response is cached until {event_type}, of which {GATEWAY} is no subscriber"
        raise operation.create_error(problem, f"add {GATEWAY} to the subscribers of the event")
    if operation.method != "GET" or set(operation.content) != {"application/json"} or operation.headers:
        remedy = f"remove {CACHE_UNTIL_EVENT_EXTENSION}"
        raise operation.create_error("only JSON of GET without headers can be cached", remedy)
    return get_constant_name(event.name)
