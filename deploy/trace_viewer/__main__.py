"""`python -m deploy.trace_viewer`: run the trace viewer until SIGTERM."""

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
from services.runtime.sidecar.uvicorn_server import EventServer


class Settings(BaseSettings):
    """Settings of the trace viewer."""

    bind: str = Field(default="127.0.0.1", description="the address to listen on")
    traces_port: int = Field(default=16686, description="port of the user interface and Jaeger's query API")
    otlp_port: int = Field(default=4317, description="port of OTLP over gRPC")
    otlp_http_port: int = Field(default=4318, description="port of OTLP over HTTP")
    trace_store_mb: int = Field(
        default=64, ge=1, le=4096, description="maximum size of the stored traces in MiB; the oldest are evicted"
    )


class _Server(EventServer):
    """Server that leaves signals to `serve`, since two servers run in this process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


async def serve(settings: Settings) -> None:
    """Serve the user interface and both OTLP receivers until SIGTERM or SIGINT."""
    store = TraceStore(settings.trace_store_mb * 1024 * 1024)
    grpc_server = await otlp_receiver.serve_grpc(store, f"{settings.bind}:{settings.otlp_port}")

    def create_server(asgi_app: ASGIApp, port: int) -> _Server:
        config = uvicorn.Config(
            asgi_app, settings.bind, port, access_log=False, log_level="warning", lifespan="off", date_header=False
        )
        config.timeout_graceful_shutdown = 1
        return _Server(config)

    servers = [
        create_server(app.create_viewer_app(store), settings.traces_port),
        create_server(app.create_collector_app(store), settings.otlp_http_port),
    ]

    def stop() -> None:
        for each in servers:
            each.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(each.serve() for each in servers))
    await grpc_server.stop(0.5)


if __name__ == "__main__":
    asyncio.run(serve(Settings()))
