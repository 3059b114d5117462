"""`python -m deploy.trace_viewer`: the trace page, until SIGTERM."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import Field
from pydantic_settings import BaseSettings
from starlette.types import ASGIApp

from deploy.trace_viewer import app, otlp_receiver
from deploy.trace_viewer.store import TraceStore


class Settings(BaseSettings):
    """What the page is told."""

    bind: str = Field(default="127.0.0.1", description="the address to listen on")
    traces_port: int = Field(default=16686, description="the page, and Jaeger's query JSON")
    otlp_port: int = Field(default=4317, description="OTLP by gRPC")
    otlp_http_port: int = Field(default=4318, description="OTLP by HTTP")
    trace_store_mb: int = Field(default=64, ge=1, le=4096, description="how much is kept; the oldest goes first")


class _Server(uvicorn.Server):
    """One of two servers of this process, which are told together when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `serve`."""
        yield


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    store = TraceStore(settings.trace_store_mb * 1024 * 1024)
    spans = await otlp_receiver.serve_grpc(store, f"{settings.bind}:{settings.otlp_port}")

    def server(what: ASGIApp, port: int) -> _Server:
        config = uvicorn.Config(what, settings.bind, port, access_log=False, log_level="warning", lifespan="off")
        config.timeout_graceful_shutdown = 1
        return _Server(config)

    servers = [
        server(app.create_viewer_app(store), settings.traces_port),
        server(app.create_collector_app(store), settings.otlp_http_port),
    ]

    def stop() -> None:
        for each in servers:
            each.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(each.serve() for each in servers))
    await spans.stop(0.5)


if __name__ == "__main__":
    asyncio.run(serve(Settings()))
