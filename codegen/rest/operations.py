"""Operations of an OpenAPI file with resolved references."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codegen.contracts import HTTP_METHODS, ContractError, Contracts
from codegen.openapi.names import get_method_name
from codegen.openapi.parameters import merge_parameters

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
    location: str = ""
    """Place for errors: `api-specs/openapi/library.yaml:123: operation listThings`."""

    def create_error(self, problem: str, remedy: str) -> ContractError:
        """Return an error of the operation: the problem and the remedy."""
        return ContractError(f"{self.location}: {problem}; {remedy}")

    @property
    def method_name(self) -> str:
        """Return the name of the handler's method."""
        return get_method_name(self.id)

    @property
    def scheme(self) -> str | None:
        """Return the security scheme; None for a public operation."""
        return next((name for alternative in self.security for name in alternative), None)

    @property
    def is_token_optional(self) -> bool:
        """Return whether a client may omit the token: `security: [{}, {bearer: []}]`."""
        return {} in self.security

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the permitted roles; empty for any valid token."""
        return tuple(role for alternative in self.security for roles in alternative.values() for role in roles)


def is_event_stream(contracts: Contracts, api: str, raw: dict[str, Any]) -> bool:
    """Return whether the success response of an operation is a stream of server-sent events."""
    response = contracts.resolve_reference(api, raw["responses"].get("200", {}))
    return EVENT_STREAM_MEDIA_TYPE in response.get("content", {})


def iter_operations(contracts: Contracts, api: str) -> Iterator[Operation]:
    """Yield all operations in file order. The 204 of an event stream is not its success response."""
    document = contracts.openapi[api]
    for path, item in document.get("paths", {}).items():
        for method in HTTP_METHODS:
            if method not in item:
                continue
            raw = item[method]
            inherited, own = (
                [contracts.resolve_reference(api, each) for each in owner.get("parameters", [])]
                for owner in (item, raw)
            )
            successes = [code for code in raw["responses"] if code.startswith("2")]
            status = successes[0] if not is_event_stream(contracts, api, raw) else "200"
            success = contracts.resolve_reference(api, raw["responses"][status])
            body = contracts.resolve_reference(api, raw["requestBody"])["content"] if "requestBody" in raw else None
            yield Operation(
                id=raw["operationId"],
                tag=raw["tags"][0],
                method=method.upper(),
                path=path,
                summary=raw.get("summary", ""),
                description=raw.get("description", ""),
                security=raw.get("security", document.get("security", [])),
                parameters=merge_parameters(inherited, own, key=lambda each: (each["name"], each["in"])),
                body=body,
                status=int(status),
                content=success.get("content", {}),
                headers=frozenset(success.get("headers", {})) - COMMON_RESPONSE_HEADERS,
                raw=raw,
                location=contracts.format_location(api, "paths", path, method),
            )
