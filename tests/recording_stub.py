"""RPC stub for unit tests: records the requests and returns given responses, without a server."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from betterproto2 import Message

from services.runtime.rpc.codec import get_codec


class RecordingStub:
    """Stub of any service. `responses` are the responses by method name; an exception is raised."""

    def __init__(self, **responses: Any) -> None:
        self.requests: list[Message] = []
        self._responses = responses

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of the service."""
        response = self._responses[name]

        async def call(request: Message, read: Callable[[Any], Any] | None = None) -> Any:
            self.requests.append(request)
            if isinstance(response, Exception):
                raise response
            return response if read is None else get_codec().decode_with(type(response), _encode(response), read)

        async def stream(request: Message) -> AsyncIterator[Message]:
            self.requests.append(request)
            for message in response:
                yield message

        return stream if isinstance(response, list) else call


def _encode(message: Message) -> bytes:
    return get_codec().encode(message)
