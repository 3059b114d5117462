"""The operations of an OpenAPI file, as generators want to see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codegen.contracts import HTTP_METHODS, ContractError, Contracts

COMMON_RESPONSE_HEADERS = frozenset({"x-request-id", "traceresponse"})
"""What every response carries; handlers have no part in it."""


@dataclass(frozen=True)
class Operation:
    """One operation, its references followed."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    description: str
    security: list[dict[str, list[str]]]
    """Alternatives; empty for a public operation."""
    parameters: list[dict[str, Any]]
    body: dict[str, Any] | None
    """Media type → media type object."""
    status: int
    """The success status."""
    content: dict[str, Any]
    """Media type → media type object of the success response."""
    headers: frozenset[str]
    """What the handler must send along with a success."""
    raw: dict[str, Any]

    @property
    def scheme(self) -> str | None:
        """The security scheme; None for a public operation."""
        return next(iter(self.security[0])) if self.security else None

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of which the token must hold one; empty for any valid token."""
        return tuple(role for alternative in self.security for roles in alternative.values() for role in roles)


def operations(contracts: Contracts, api: str) -> Iterator[Operation]:
    """Every operation, in the order of the file. Raises ContractError for what no generator could make sense of."""
    document = contracts.openapi[api]
    seen: set[str] = set()
    for path, item in document["paths"].items():
        for method in HTTP_METHODS:
            if method not in item:
                continue
            raw = item[method]
            name = raw["operationId"]
            if name in seen:
                raise ContractError(f"{api}.yaml: the operationId {name} is used twice")
            seen.add(name)
            parameters = [
                contracts.resolve_reference(api, p) for p in [*item.get("parameters", []), *raw.get("parameters", [])]
            ]
            successes = [code for code in raw["responses"] if code.startswith("2")]
            if len(successes) != 1:
                raise ContractError(f"{api}.yaml: {name} has {len(successes)} success responses; it takes one")
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
