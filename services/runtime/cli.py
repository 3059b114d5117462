"""`python -m services.<name> serve|migrate|demo-data`, the same for every service."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop

from services.runtime import logs, migrations, tracing
from services.runtime.settings import DemoSettings, Environment, ServiceSettings, load


def main[S: ServiceSettings](
    service: str,
    settings_type: type[S],
    serve: Callable[[S], Awaitable[None]],
    demo_data: Callable[[S, DemoSettings], Awaitable[None]] | None = None,
) -> None:
    """Reads the command line and the environment, and does what they say; `serve` migrates first."""
    parser = argparse.ArgumentParser(prog=f"services.{service}")
    commands = ["serve", "migrate", *(["demo-data"] if demo_data else [])]
    parser.add_argument("command", choices=commands)
    command = parser.parse_args().command
    settings = load(settings_type)
    logs.setup(service, settings.log_level)
    if command in ("serve", "migrate"):
        migrations.migrate(service, settings.database_url.get_secret_value())
    if command == "serve":
        provider = tracing.setup(service)
        try:
            uvloop.run(_awaited(serve(settings)))
        finally:
            provider.shutdown()
    elif command == "demo-data" and demo_data is not None:
        if settings.environment is Environment.PRODUCTION:
            sys.exit("demo data has no place in production")
        asyncio.run(_awaited(demo_data(settings, load(DemoSettings))))


async def _awaited(work: Awaitable[None]) -> None:
    await work
