"""Operations of an OpenAPI file with resolved references."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codegen.contracts import HTTP_METHODS, ContractError, Contracts

COMMON_RESPONSE_HEADERS = frozenset({"x-request-id", "traceresponse", "Accept-Patch"})
"""Response headers that the mesh and the REST runtime set, not the handlers."""

EVENT_STREAM_MEDIA_TYPE = "text/event-stream"
END_OF_STREAM_STATUS = "204"
"""Status of a stream without further events, at which standard clients stop reconnecting."""


@dataclass(frozen=True)
class Operation:
    """One operation with resolved references."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    description: str
    security: list[dict[str, list[str]]]
    """Alternative requirements; empty for a public operation."""
    parameters: list[dict[str, Any]]
    body: dict[str, Any] | None
    """Media type → media type object."""
    status: int
    """The success status."""
    content: dict[str, Any]
    """Media type → media type object of the success response."""
    headers: frozenset[str]
    """Headers that the handler must set in the success response."""
    raw: dict[str, Any]

    @property
    def scheme(self) -> str | None:
        """Return the security scheme; None for a public operation."""
        return next(iter(self.security[0])) if self.security else None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the permitted roles; empty for any valid token."""
        return tuple(role for alternative in self.security for roles in alternative.values() for role in roles)


def is_event_stream(raw: dict[str, Any]) -> bool:
    """Return whether the success response of an operation is a stream of server-sent events."""
    return EVENT_STREAM_MEDIA_TYPE in raw["responses"].get("200", {}).get("content", {})


def iter_operations(contracts: Contracts, api: str) -> Iterator[Operation]:
    """Yield all operations in file order.

    Raises ContractError for a duplicate operationId, or more or less than one success response. The 204 of an event
    stream does not count.
    """
    document = contracts.openapi[api]
    seen: set[str] = set()
    for path, item in document["paths"].items():
        for method in HTTP_METHODS:
            if method not in item:
                continue
            raw = item[method]
            name = raw["operationId"]
            if name in seen:
                raise ContractError(f"{api}.yaml: duplicate operationId {name}")
            seen.add(name)
            parameters = [
                contracts.resolve_reference(api, p) for p in [*item.get("parameters", []), *raw.get("parameters", [])]
            ]
            successes = [code for code in raw["responses"] if code.startswith("2")]
            if is_event_stream(raw):
                successes = [code for code in successes if code != END_OF_STREAM_STATUS]
            if len(successes) != 1:
                raise ContractError(
                    f"{api}.yaml: {name} has {len(successes)} success responses; exactly one is required"
                )
            success = contracts.resolve_reference(api, raw["responses"][successes[0]])
            body = contracts.resolve_reference(api, raw["requestBody"])["content"] if "requestBody" in raw else None
            yield Operation(
                id=name,
                tag=raw["tags"][0],
                method=method.upper(),
                path=path,
                summary=raw.get("summary", ""),
                description=raw.get("description", ""),
                security=raw.get("security", document.get("security", [])),
                parameters=parameters,
                body=body,
                status=int(successes[0]),
                content=success.get("content", {}),
                headers=frozenset(success.get("headers", {})) - COMMON_RESPONSE_HEADERS,
                raw=raw,
            )
