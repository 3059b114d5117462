"""Command line of a service: `python -m services.<name> serve|migrate|demo-data` and the service's own commands."""

import argparse
import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from services.runtime.config.document_store import DocumentStoreSettings
from services.runtime.config.settings import DemoSettings, Environment, ServiceSettings, load_settings
from services.runtime.storage import migrations, mongo_migrations
from services.runtime.telemetry import logging_setup, process_output, tracing

MAX_OPEN_FILES = 65_536
"""Upper bound of the open file limit that a service sets; the hard limit may be lower."""


def main[S: ServiceSettings](
    service: str,
    settings_type: type[S],
    serve: Callable[[S], Awaitable[None]],
    load_demo_data: Callable[[S, DemoSettings], Awaitable[None]] | None = None,
    commands_with_argument: Mapping[str, Callable[[S, str], Awaitable[None]]] | None = None,
    commands_without_argument: Mapping[str, Callable[[S], Awaitable[None]]] | None = None,
) -> None:
    """Parse the command line, load the settings and run the command.

    `serve` first migrates the databases in development, and exits in production if a migration is pending.

    `commands_with_argument` and `commands_without_argument` are the service's own commands, by name.
    """
    parser = argparse.ArgumentParser(prog=f"services.{service}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "migrate", *(["demo-data"] if load_demo_data else []), *(commands_without_argument or {})):
        commands.add_parser(name)
    for name in commands_with_argument or {}:
        commands.add_parser(name).add_argument("argument")
    arguments = parser.parse_args()
    command = arguments.command
    if command == "serve":
        process_output.capture(service)
    settings = load_settings(settings_type)
    logging_setup.setup_logging(service, settings.log_level)
    if command == "migrate" or (command == "serve" and settings.is_migrating_at_start()):
        _migrate(service, settings)
    elif command == "serve" and (pending := _list_pending_migrations(service, settings)):
        sys.exit(f"migrations are pending: {', '.join(pending)}; run the command migrate first")
    if command == "serve":
        _raise_open_file_limit()
        provider = tracing.setup_tracing(service, settings.environment, settings.trace_percent)
        try:
            uvloop.run(_to_coroutine(serve(settings)))
        finally:
            tracing.shutdown_tracing(provider)
    elif command == "demo-data" and load_demo_data is not None:
        if settings.environment is Environment.PRODUCTION:
            sys.exit("demo data is not allowed in production")
        asyncio.run(_to_coroutine(load_demo_data(settings, load_settings(DemoSettings))))
    elif commands_with_argument and command in commands_with_argument:
        asyncio.run(_to_coroutine(commands_with_argument[command](settings, arguments.argument)))
    elif commands_without_argument and command in commands_without_argument:
        asyncio.run(_to_coroutine(commands_without_argument[command](settings)))


def _migrate(service: str, settings: ServiceSettings) -> None:
    """Migrate the stores. Exits with a sentence if the schema belongs to another version of the project."""
    try:
        migrations.migrate(service, settings.database_url.get_secret_value())
    except migrations.UnknownSchemaError as error:
        sys.exit(str(error))
    if isinstance(settings, DocumentStoreSettings):
        mongo_migrations.migrate(service, settings.documents_url.get_secret_value())


def _list_pending_migrations(service: str, settings: ServiceSettings) -> list[str]:
    try:
        pending = [*migrations.list_pending(service, settings.database_url.get_secret_value())]
    except migrations.UnknownSchemaError as error:
        sys.exit(str(error))
    if isinstance(settings, DocumentStoreSettings):
        pending += mongo_migrations.list_pending(service, settings.documents_url.get_secret_value())
    return pending


def _raise_open_file_limit() -> None:
    """Raise the soft limit of open files: each stream is one, and shells often default to a limit of 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


async def _to_coroutine(work: Awaitable[None]) -> None:
    await work
