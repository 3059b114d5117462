"""Rate limits of the operations: the extension `x-rate-limit` of the OpenAPI document and of each operation."""

import math
import re
from dataclasses import dataclass
from typing import Any

from codegen.contracts import ContractError, Contracts
from codegen.rest.operations import Operation

EXTENSION = "x-rate-limit"
SCOPES = ("address", "subject", "global")
"""Scopes of a limit: per client address, per authenticated user, and for all clients together."""

STATUS = "429"
WINDOWS_S = {"second": 1, "minute": 60, "hour": 3600}
MAX_REQUESTS = 100_000
LIMIT_PATTERN = re.compile(r"([1-9]\d*)/(second|minute|hour)", re.ASCII)


@dataclass(frozen=True)
class RateLimit:
    """Maximum number of requests in a window. It is a token bucket: tokens return evenly in the window."""

    scope: str
    requests: int
    window_s: int

    @property
    def max_wait_s(self) -> int:
        """Return the time after which at least one request is permitted again, in whole seconds."""
        return math.ceil(self.window_s / self.requests)


def list_rate_limits(contracts: Contracts, api: str, operation: Operation) -> list[RateLimit]:
    """Return the limits of an operation: its own, and the defaults of the document for all other scopes.

    Raises ContractError for a malformed limit, for a limit per user of a public operation, and for an operation with
    limits but without the response 429.
    """
    own: dict[str, Any] = operation.raw.get(EXTENSION, {})
    defaults: dict[str, Any] = contracts.openapi[api].get(EXTENSION, {})
    if not isinstance(own, dict) or not isinstance(defaults, dict):
        raise operation.create_error(f"{EXTENSION} is no object", "write limits by scope")
    # Requests without a token would share a limit, so that of the address is the only one of optional authentication.
    is_authenticated = operation.scheme == "bearer" and not operation.is_token_optional
    if "subject" in own and not is_authenticated:
        raise operation.create_error("the limit per subject has no subject", "require a token, or remove the limit")
    texts = {scope: text for scope, text in (defaults | own).items() if scope != "subject" or is_authenticated}
    limits = [parse_rate_limit(operation.location, scope, text) for scope, text in texts.items()]
    if limits and STATUS not in operation.raw["responses"]:
        raise operation.create_error(f"{EXTENSION} needs the response {STATUS}", "add it to the responses")
    return sorted(limits, key=lambda limit: SCOPES.index(limit.scope))


def parse_rate_limit(location: str, scope: str, text: Any) -> RateLimit:
    """Return the limit of a scope from its text, for example `20/minute`.

    Raises ContractError for an unknown scope and for a malformed limit.
    """
    if scope not in SCOPES:
        raise ContractError(f"{location}: unknown scope {scope} in {EXTENSION}; use one of {', '.join(SCOPES)}")
    match = LIMIT_PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > MAX_REQUESTS:
        message = f"is not a number up to {MAX_REQUESTS} per second, minute or hour, for example 20/minute"
        raise ContractError(f"{location}: the {EXTENSION} {text} of {scope} {message}")
    return RateLimit(scope, int(match[1]), WINDOWS_S[match[2]])
