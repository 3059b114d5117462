"""Tracing of provider calls."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from services.notifications.domain.notifications import Outcome, ProviderResponse
from services.runtime.telemetry import tracing


def trace_send[**P](
    peer: str,
) -> Callable[[Callable[P, Awaitable[ProviderResponse]]], Callable[P, Coroutine[Any, Any, ProviderResponse]]]:
    """Decorate a provider call with a client span `<peer> send`.

    The span records the response code. It contains no recipient address.
    """

    def decorate(
        send: Callable[P, Awaitable[ProviderResponse]],
    ) -> Callable[P, Coroutine[Any, Any, ProviderResponse]]:
        @wraps(send)
        async def call_traced(*args: P.args, **kwargs: P.kwargs) -> ProviderResponse:
            with tracing.start_peer_span(peer, "send") as span:
                response = await send(*args, **kwargs)
                span.set_attribute("delivery.outcome", response.code)
                if response.outcome is not Outcome.ACCEPTED:
                    tracing.record_error(span, response.code)
                return response

        return call_traced

    return decorate
