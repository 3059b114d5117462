"""`python -m services.<name> serve|migrate|demo-data`, the same for every service, and what it can do on top."""

import argparse
import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from services.runtime import logs, migrations, tracing
from services.runtime.settings import DemoSettings, Environment, ServiceSettings, load

MOST_FILES = 65_536
"""Open files of a service; it takes what it may have, up to this."""


def main[S: ServiceSettings](
    service: str,
    settings_type: type[S],
    serve: Callable[[S], Awaitable[None]],
    demo_data: Callable[[S, DemoSettings], Awaitable[None]] | None = None,
    more: Mapping[str, Callable[[S, str], Awaitable[None]]] | None = None,
    jobs: Mapping[str, Callable[[S], Awaitable[None]]] | None = None,
) -> None:
    """Reads the command line and the environment, and does what they say; `serve` migrates first.

    `more` are the service's own commands, each with one argument; `jobs` those without.
    """
    parser = argparse.ArgumentParser(prog=f"services.{service}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "migrate", *(["demo-data"] if demo_data else []), *(jobs or {})):
        commands.add_parser(name)
    for name in more or {}:
        commands.add_parser(name).add_argument("of")
    arguments = parser.parse_args()
    command = arguments.command
    settings = load(settings_type)
    logs.setup(service, settings.log_level)
    if command in ("serve", "migrate"):
        migrations.migrate(service, settings.database_url.get_secret_value())
    if command == "serve":
        _open_as_many_as_allowed()
        provider = tracing.setup(service, settings.trace_percent)
        try:
            uvloop.run(_awaited(serve(settings)))
        finally:
            tracing.stop(provider)
    elif command == "demo-data" and demo_data is not None:
        if settings.environment is Environment.PRODUCTION:
            sys.exit("demo data has no place in production")
        asyncio.run(_awaited(demo_data(settings, load(DemoSettings))))
    elif more and command in more:
        asyncio.run(_awaited(more[command](settings, arguments.of)))
    elif jobs and command in jobs:
        asyncio.run(_awaited(jobs[command](settings)))


def _open_as_many_as_allowed() -> None:
    """A stream is an open file, and there may be more than the 1,024 that a shell lets a process have by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


async def _awaited(work: Awaitable[None]) -> None:
    await work
