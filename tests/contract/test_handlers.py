"""Every operation, RPC and event of the contracts has exactly one handler, and no other handler exists."""

import inspect
import pkgutil
import re
from collections import Counter
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import services
from deploy.local.mesh_config import CALLEES
from generated.events import EVENTS, consumers
from generated.rest.delivery import forwarding_handlers, handlers
from services.runtime.messaging.consumer import Consumer
from services.runtime.messaging.events import EventType
from services.runtime.rpc.servicer import Servicer
from tests.conftest import ROOT

for module in pkgutil.walk_packages(services.__path__, "services."):
    if not module.name.endswith("__main__") and not module.name.startswith("services.sandbox"):
        import_module(module.name)


def abstract_classes(module: ModuleType) -> list[type]:
    """Return the abstract classes that a generated module defines."""
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if inspect.isabstract(cls)]
    return [cls for cls in classes if cls.__module__ == module.__name__]


def is_implementation(cls: type) -> bool:
    """Return whether a class is part of the services or forwards operations to them."""
    return cls.__module__.startswith("services.") or cls.__module__ == forwarding_handlers.__name__


def implementations(base: type) -> set[type]:
    """Return the concrete subclasses of `base` in the services, and the generated ones that forward operations."""
    classes = {cls for child in base.__subclasses__() for cls in {child, *implementations(child)}}
    return {cls for cls in classes if not inspect.isabstract(cls) and is_implementation(cls)}


RPC_MODULES = [import_module(f"generated.proto.delivery.{name}.v1.rpc") for name in CALLEES]
BASES = [base for module in (handlers, *RPC_MODULES, consumers) for base in abstract_classes(module)]


@pytest.mark.parametrize("base", BASES, ids=[base.__name__ for base in BASES])
def test_abstract_method_is_implemented_once(base: type) -> None:
    (implementation,) = implementations(base)
    for name in base.__abstractmethods__:  # type: ignore[attr-defined]
        definers = [cls for cls in implementation.__mro__ if name in vars(cls) and is_implementation(cls)]
        assert len(definers) == 1, name


@pytest.mark.parametrize("kind", [Servicer, Consumer])
def test_servicer_or_consumer_outside_contracts_does_not_exist(kind: type) -> None:
    assert not [cls for cls in implementations(kind) if not issubclass(cls, tuple(BASES))]


def test_operation_maps_to_one_method() -> None:
    methods = [(operation.handler, operation.method) for operation in handlers.OPERATIONS.values()]
    assert len(set(methods)) == len(methods)
    assert set(methods) == {(base, name) for base in abstract_classes(handlers) for name in base.__abstractmethods__}  # type: ignore[attr-defined]


EXTERNAL_EVENTS = {"notifications.requested"}
"""Events published by external producers (campaigns and other teams) and by none of the services."""


def find_producers(message: type) -> set[str]:
    """Return the services whose code constructs the message."""
    constructor = re.compile(rf"\b{message.__name__}\(")
    sources = (ROOT / "services").glob("*/**/*.py")
    return {
        path.relative_to(ROOT / "services").parts[0]
        for path in sources
        if constructor.search(path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("event", EVENTS.values(), ids=[event.type for event in EVENTS.values()])
def test_event_is_constructed_by_its_producer_only(event: EventType[Any]) -> None:
    assert find_producers(event.message) == (set() if event.type in EXTERNAL_EVENTS else {event.producer})


def test_queue_of_event_has_one_consumer() -> None:
    queues = Counter(base.QUEUE for base in abstract_classes(consumers) if issubclass(base, Consumer))
    assert set(queues.values()) == {1}
    queues_of_events = {queue for event in EVENTS.values() for queue in (*event.queues, event.priority_queue) if queue}
    assert queues.keys() == queues_of_events
