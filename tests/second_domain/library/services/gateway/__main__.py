"""Command line: `python -m services.gateway serve|migrate`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field
from starlette.types import ASGIApp

from generated import mesh
from generated.proto.library.loans.v1.rpc import LoansStub
from generated.proto.library.titles.v1.rpc import TitlesStub
from generated.rest.library.forwarding_handlers import ForwardingLoansHandler, ForwardingTitlesHandler
from generated.rest.library.handlers import OPERATIONS
from services.runtime.config.settings import ServiceSettings
from services.runtime.messaging.connection import Broker
from services.runtime.process.cli import main
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import build_caches
from services.runtime.rest.server import serve_app
from services.runtime.rest.static_documents import build_problem_pages, load_asyncapi_document, load_openapi_documents
from services.runtime.rpc.channel import Channel
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage.database import Database


class Settings(ServiceSettings):
    """Environment variables of the gateway."""

    egress_socket: Path = Field(description="the sidecar's unix socket for calls to other services")
    health_socket: Path = Field(description="the unix socket of the gRPC health service")


async def serve(settings: Settings) -> None:
    """Run the gateway until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "gateway")
    titles, loans = (Channel(settings.egress_socket, name) for name in ("titles", "loans"))
    app = build_app(
        json.loads((mesh.FOLDER / f"openapi/{mesh.NAME}.json").read_text(encoding="utf-8")),
        [ForwardingTitlesHandler(TitlesStub(titles)), ForwardingLoansHandler(LoansStub(loans))],
        OPERATIONS,
        load_openapi_documents(mesh.FOLDER / "openapi", mesh.NAME)
        | load_asyncapi_document(mesh.FOLDER / "asyncapi", mesh.NAME)
        | build_problem_pages(),
        build_caches(OPERATIONS.values()),
        validate_responses=True,
    )
    async with database:
        await serve_with_background_tasks(
            serve_rest_and_health(settings, app),
            wait_for_stop_signal,
            [serve_metrics("gateway", settings.environment, settings.service_socket, database, broker)],
        )
    for channel in (titles, loans):
        await channel.close()


@asynccontextmanager
async def serve_rest_and_health(settings: Settings, app: ASGIApp) -> AsyncIterator[None]:
    """Serve REST on one socket and gRPC health on another."""
    async with (
        serve_app(app, settings.service_socket, grace_s=settings.drain_seconds),
        serve_rpc(settings.health_socket, grace_s=settings.drain_seconds),
    ):
        yield


if __name__ == "__main__":
    main("gateway", Settings, serve)
