"""Each operation, RPC and event has one handler; what the contracts do not name has none."""

import inspect
import pkgutil
import re
from collections import Counter
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import services
from generated.events import EVENTS, consumers
from generated.proto.delivery.notifications.v1 import rpc as notifications
from generated.proto.delivery.orders.v1 import rpc as orders
from generated.proto.delivery.partners.v1 import rpc as partners
from generated.rest.delivery import handlers
from services.runtime.messaging.consumer import Consumer
from services.runtime.messaging.events import EventType
from services.runtime.rpc.service import Servicer
from tests.conftest import ROOT

for module in pkgutil.walk_packages(services.__path__, "services."):
    if not module.name.endswith("__main__") and not module.name.startswith("services.sandbox"):
        import_module(module.name)


def abstract(module: ModuleType, *above: type) -> list[type]:
    """What a generated module leaves to be written."""
    found = [each for _, each in inspect.getmembers(module, inspect.isclass) if inspect.isabstract(each)]
    return [each for each in found if each.__module__ == module.__name__ and each not in above]


def below(base: type) -> set[type]:
    """Every class of the services that derives from it and leaves nothing open."""
    found = {each for child in base.__subclasses__() for each in {child, *below(child)}}
    return {each for each in found if not inspect.isabstract(each) and each.__module__.startswith("services.")}


BASES = [base for module in (handlers, orders, partners, notifications, consumers) for base in abstract(module)]


@pytest.mark.parametrize("base", BASES, ids=[base.__name__ for base in BASES])
def test_all_that_is_left_to_be_written_is_written_once(base: type) -> None:
    (written,) = below(base)
    for name in base.__abstractmethods__:  # type: ignore[attr-defined]
        definers = [each for each in written.__mro__ if name in vars(each) and each.__module__.startswith("services.")]
        assert len(definers) == 1, name


@pytest.mark.parametrize("kind", [Servicer, Consumer])
def test_nothing_answers_beside_the_contracts(kind: type) -> None:
    assert not [each for each in below(kind) if not issubclass(each, tuple(BASES))]


def test_every_operation_is_left_to_one_method() -> None:
    wanted = [(each.handler, each.method) for each in handlers.OPERATIONS.values()]
    assert len(set(wanted)) == len(wanted)
    assert set(wanted) == {(base, name) for base in abstract(handlers) for name in base.__abstractmethods__}  # type: ignore[attr-defined]


FROM_OUTSIDE = {"notifications.requested"}
"""Events that campaigns and other teams publish; none of the four services does."""


def makers(message: type) -> set[str]:
    """The services whose code makes such a payload."""
    made = re.compile(rf"\b{message.__name__}\(")
    sources = (ROOT / "services").glob("*/**/*.py")
    return {path.relative_to(ROOT / "services").parts[0] for path in sources if made.search(path.read_text())}


@pytest.mark.parametrize("event", EVENTS.values(), ids=[event.type for event in EVENTS.values()])
def test_an_event_is_made_by_its_producer_alone(event: EventType[Any]) -> None:
    assert makers(event.message) == (set() if event.type in FROM_OUTSIDE else {event.producer})


def test_every_queue_has_the_consumer_that_its_events_name() -> None:
    queues = Counter(base.QUEUE for base in abstract(consumers) if issubclass(base, Consumer))
    assert set(queues.values()) == {1}
    named = {queue for event in EVENTS.values() for queue in (*event.queues, event.priority_queue) if queue}
    assert queues.keys() == named
