"""Starlette and msgspec on the raw driver, without validation: an upper bound for Python."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.baselines.store import RawRepository

repository = RawRepository(os.environ["BASELINE_DATABASE_URL"])
encode_json = msgspec.json.Encoder().encode


async def list_catalog(request: Request) -> Response:
    """Return a page of partners."""
    after = int(request.query_params.get("page_token", "0"))
    return Response(encode_json({"items": await repository.list_catalog(after, 20)}), media_type="application/json")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open the connection pool."""
    await repository.open()
    yield


app = Starlette(routes=[Route("/api/v1/catalog", list_catalog)], lifespan=lifespan)
