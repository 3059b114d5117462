"""Query plans of the document repositories in MongoDB: every query uses an index, and every list is sorted by one.

The repositories run with a client that records their commands; MongoDB then explains each recorded command.
"""

import inspect
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from services.notifications.adapters.history_repository import MongoHistoryRepository as NotificationsRepository
from services.notifications.domain.notifications import HistoryFilter, Notification, Status
from services.orders.adapters.history_repository import MongoHistoryRepository as OrdersRepository
from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentFilter, PaymentOutcome, PaymentRecord
from services.runtime.storage import mongo_migrations
from tests.integration.fixtures.servers import Servers

type Document = dict[str, Any]
type Call = Callable[[Any], Awaitable[Any]]

NOW = datetime.now(UTC).replace(microsecond=0)
ENTRY = HistoryEntry("explain", 1, OrderStatus.PENDING, NOW, "ada")
PAYMENT = PaymentRecord("visa", "explain", "explain", 200, "USD", PaymentOutcome.PAID, 0, NOW)
NOTIFICATION = Notification("explain", "explain", "orders.paid", "o1", "news", "T", "B", Status.SENT, NOW)

FILTER_KEYS = ("filter", "sort", "limit", "projection")
QUERY_COMMANDS = ("find", "update", "delete", "aggregate", "count", "distinct", "findAndModify")
UNINDEXED_STAGES = {"COLLSCAN", "SORT"}
"""Stages that read a whole collection, or all documents of a list before the first page is known."""

INDEXED_STAGES = {"IXSCAN", "IDHACK", "EXPRESS_IXSCAN"}


class CommandRecorder(CommandListener):
    """Listener that records the commands that query a collection."""

    def __init__(self) -> None:
        self.commands: list[Document] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in QUERY_COMMANDS:
            self.commands.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@asynccontextmanager
async def connect_recorded(
    servers: Servers, service: str
) -> AsyncIterator[tuple[AsyncDatabase[Document], CommandRecorder]]:
    """Connect to the migrated database of a service."""
    url = servers.settings(service)["DOCUMENTS_URL"]
    mongo_migrations.migrate(service, url)
    recorder = CommandRecorder()
    async with AsyncMongoClient[Document](url, tz_aware=True, event_listeners=[recorder]) as client:
        yield client.get_default_database(), recorder


def list_explainable_commands(command: Document) -> Iterator[Document]:
    """Yield a recorded command in the form that `explain` accepts; a bulk write yields one for each operation."""
    name = next(iter(command))
    match name:
        case "find":
            yield {name: command[name]} | {key: command[key] for key in FILTER_KEYS if key in command}
        case "update" | "delete":
            for operation in command[f"{name}s"]:
                yield {name: command[name], f"{name}s": [operation]}
        case _:
            raise AssertionError(f"no rule to explain the command {name}")


def list_stages(plan: Any) -> list[Document]:
    """Return all stages of a query plan."""
    match plan:
        case Mapping():
            nested = [stage for value in plan.values() for stage in list_stages(value)]
            return [dict(plan), *nested] if "stage" in plan else nested
        case list():
            return [stage for each in plan for stage in list_stages(each)]
    return []


def is_full_index_scan(stage: Document) -> bool:
    """Return whether a stage reads an index from its first to its last key."""
    bounds = next(iter(stage.get("indexBounds", {"": []}).values()))
    return bounds in (["[MinKey, MaxKey]"], ["[MaxKey, MinKey]"])


def has_selective_filter(command: Document) -> bool:
    """Return whether a command selects by more than the event type, which most documents of a list match."""
    operations = [command, *command.get("updates", []), *command.get("deletes", [])]
    filters: list[Document] = [each[key] for each in operations for key in ("filter", "q") if key in each]
    return any(each.keys() - {"event"} for each in filters)


async def find_plan_defects(database: AsyncDatabase[Document], command: Document) -> set[str]:
    """Return the defects of the plan that MongoDB selects for a command: names of stages, or FULL_IXSCAN.

    A list without a filter reads an index from its first key, and stops at its limit.
    """
    plan = await database.command("explain", command, verbosity="queryPlanner")
    stages = list_stages(plan["queryPlanner"]["winningPlan"])
    names = {stage["stage"] for stage in stages}
    defects = names & UNINDEXED_STAGES
    if has_selective_filter(command) and any(map(is_full_index_scan, stages)):
        defects.add("FULL_IXSCAN")
    return defects if names & INDEXED_STAGES else defects | {"NO_INDEX"}


async def read_pages(pages: AsyncIterator[Sequence[str]]) -> None:
    """Read all pages."""
    async for _ in pages:
        pass


def list_order_calls() -> Iterator[tuple[str, Call]]:
    """Yield name and call of every method of the repository of orders, with each combination of filters."""
    yield "save_history_entry", lambda repository: repository.save_history_entry(ENTRY)
    yield "save_payment", lambda repository: repository.save_payment(PAYMENT)
    yield "list_history", lambda repository: repository.list_history("explain", 10, 0)
    yield "find_by_orders", lambda repository: repository.find_by_orders(["explain", "other"])
    yield "iter_order_ids", lambda repository: read_pages(repository.iter_order_ids(NOW, NOW + timedelta(1), 1))
    for before, order_id, bank_id in itertools.product((None, (NOW, "visa", "x")), (None, "explain"), (None, "visa")):
        yield (
            "list_payments",
            lambda repository, b=before, o=order_id, i=bank_id: repository.list_payments(10, b, PaymentFilter(o, i)),
        )


def list_notification_calls() -> Iterator[tuple[str, Call]]:
    """Yield name and call of every method of the repository of notifications, with each combination of filters."""
    yield "insert_if_absent", lambda repository: repository.insert_if_absent(NOTIFICATION)
    yield "upsert", lambda repository: repository.upsert(NOTIFICATION)
    yield "set_failed", lambda repository: repository.set_failed("explain", "template_missing")
    yield "delete_for_user", lambda repository: repository.delete_for_user("explain")
    yield "delete_older_than", lambda repository: repository.delete_older_than(datetime(2000, 1, 1, tzinfo=UTC))
    values = (None, "u"), (None, "news"), (None, Status.SENT), (None, "o1")
    filters = itertools.starmap(HistoryFilter, itertools.product(*values))
    for history_filter, before, include_mails in itertools.product(filters, (None, (NOW, "x")), (False, True)):
        yield (
            "find",
            lambda repository, f=history_filter, b=before, i=include_mails: repository.find(f, 10, b, include_mails=i),
        )


@pytest.mark.parametrize(
    ("service", "repository_type", "calls"),
    [
        ("orders", OrdersRepository, list_order_calls()),
        ("notifications", NotificationsRepository, list_notification_calls()),
    ],
    ids=["orders", "notifications"],
)
async def test_every_query_of_repository_uses_an_index(
    servers: Servers, service: str, repository_type: Any, calls: Iterator[tuple[str, Call]]
) -> None:
    public_methods = [
        *inspect.getmembers(repository_type, inspect.iscoroutinefunction),
        *inspect.getmembers(repository_type, inspect.isasyncgenfunction),
    ]
    defective: list[tuple[str, Document, set[str]]] = []
    called: set[str] = set()
    async with connect_recorded(servers, service) as (database, recorder):
        repository = repository_type(database)
        for name, call in calls:
            recorder.commands.clear()
            await call(repository)
            called.add(name)
            assert recorder.commands or name == "insert_if_absent"
            for command in [each for recorded in recorder.commands for each in list_explainable_commands(recorded)]:
                if defects := await find_plan_defects(database, command):
                    defective.append((name, command, defects))
    assert defective == []
    assert called == {name for name, _ in public_methods if not name.startswith("_")}


@pytest.mark.parametrize(
    ("query", "sort", "defects"),
    [
        ({"title": "T"}, [], {"COLLSCAN", "NO_INDEX"}),
        ({"user_id": "u"}, [("title", 1)], {"SORT"}),
        ({"title": "T"}, [("created_at", -1), ("_id", -1)], {"FULL_IXSCAN"}),
        ({"user_id": "u"}, [("created_at", -1), ("_id", -1)], set()),
    ],
)
async def test_defect_of_query_plan_is_found(
    servers: Servers, query: Document, sort: Sequence[tuple[str, int]], defects: set[str]
) -> None:
    async with connect_recorded(servers, "notifications") as (database, recorder):
        await database["notifications"].find(query, sort=sort).to_list()
        (command,) = [each for recorded in recorder.commands for each in list_explainable_commands(recorded)]
        assert await find_plan_defects(database, command) == defects


@pytest.mark.parametrize("service", ["orders", "notifications"])
async def test_migration_is_recorded_and_idempotent(servers: Servers, service: str) -> None:
    url = servers.settings(service)["DOCUMENTS_URL"]
    async with connect_recorded(servers, service) as (database, _):
        versions = database[mongo_migrations.VERSIONS_COLLECTION]
        recorded = await versions.find().to_list()
        assert [document["_id"] for document in recorded] == [
            path.stem for path in mongo_migrations.list_migrations(service)
        ]
        mongo_migrations.migrate(service, url)
        assert await versions.find().to_list() == recorded
        await versions.delete_many({})
        mongo_migrations.migrate(service, url)
        assert await versions.count_documents({}) == len(recorded)
