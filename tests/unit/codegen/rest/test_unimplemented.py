"""Search for unimplemented handlers, consumers and servicers."""

from pathlib import Path

import pytest

from codegen.contracts import ContractError
from codegen.rest import unimplemented
from tests.conftest import ROOT

HANDLERS = """
from abc import ABC, abstractmethod

class NotesHandler(ABC):
    @abstractmethod
    async def leave_note(self, *, order_id: str) -> None:
        \"\"\"Leave a note.\"\"\"

    @abstractmethod
    async def read_note(self, *, order_id: str) -> None:
        \"\"\"Read it.\"\"\"
"""
CONSUMERS = """
from abc import abstractmethod
from typing import ClassVar

class OrdersNotesConsumer:
    QUEUE: ClassVar[str] = "orders.notes"

    @abstractmethod
    async def order_noted(self, event: str) -> None:
        \"\"\"A note was left.\"\"\"
"""
READS = "async def read_note(self, *, order_id: str) -> None: ..."
LEAVES = "async def leave_note(self, *, order_id: str) -> None: ..."
FORWARDING_FILE = "generated/rest/delivery/forwarding_handlers.py"
IMPORT = "from generated.rest.delivery.handlers import NotesHandler"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "generated/rest/delivery/handlers.py": HANDLERS,
        FORWARDING_FILE: "",
        unimplemented.CONSUMERS_FILE: CONSUMERS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "services/gateway/entrypoints/rest").mkdir(parents=True)
    (tmp_path / "services/orders/entrypoints").mkdir(parents=True)
    consumer = "from generated.events.consumers import OrdersNotesConsumer\n"
    consumer += "class Notes(OrdersNotesConsumer):\n    async def order_noted(self, event: str) -> None: ...\n"
    (tmp_path / "services/orders/entrypoints/consumers.py").write_text(consumer, encoding="utf-8")
    return tmp_path


def write(root: Path, text: str, name: str = "notes") -> None:
    (root / f"services/gateway/entrypoints/rest/{name}.py").write_text(text, encoding="utf-8")


def test_repository_has_no_unimplemented_handlers() -> None:
    assert unimplemented.find_unimplemented(ROOT) == []


def test_unimplemented_class_names_expected_path(root: Path) -> None:
    (root / "services/orders/entrypoints/consumers.py").write_text("", encoding="utf-8")
    assert unimplemented.find_unimplemented(root) == [
        "services/orders/entrypoints/consumers.py: no class implements OrdersNotesConsumer; "
        "add one and register it in app.py",
        "services/gateway/entrypoints/rest/notes.py: no class implements NotesHandler; "
        "add one and register it in app.py",
    ]


def test_unimplemented_method_is_reported_with_signature(root: Path) -> None:
    write(root, f"{IMPORT}\nclass Notes(NotesHandler):\n    {READS}\n")
    assert unimplemented.find_unimplemented(root) == [
        "services/gateway/entrypoints/rest/notes.py: the class Notes lacks\n"
        "    async def leave_note(self, *, order_id: str) -> None:\n"
        '        """Leave a note."""'
    ]


def test_methods_of_external_base_classes_do_not_count(root: Path) -> None:
    write(root, f"{IMPORT}\nclass Reads(NotesHandler):\n    {READS}\n", "reads")
    write(root, f"from services.gateway.entrypoints.rest.reads import Reads\nclass Notes(Reads):\n    {LEAVES}\n")
    assert unimplemented.find_unimplemented(root) == []
    write(root, f"from elsewhere import Reads\n{IMPORT}\nclass Notes(Reads, NotesHandler):\n    {LEAVES}\n")
    assert len(unimplemented.find_unimplemented(root)) == 2


def test_forwarded_operation_counts_as_implemented(root: Path) -> None:
    forwarding = f"{IMPORT}\nclass ForwardingNotesHandler(NotesHandler):\n    {READS}\n"
    (root / FORWARDING_FILE).write_text(forwarding, encoding="utf-8")
    place = "services/gateway/entrypoints/rest/notes.py"
    (missing,) = unimplemented.find_unimplemented(root)
    assert missing.startswith(f"{place}: a subclass of ForwardingNotesHandler, registered in app.py, lacks\n")
    imports = "from generated.rest.delivery.forwarding_handlers import ForwardingNotesHandler"
    write(root, f"{imports}\nclass Notes(ForwardingNotesHandler): ...\n")
    (missing,) = unimplemented.find_unimplemented(root)
    assert missing.startswith(f"{place}: the class Notes lacks\n")
    write(root, f"{imports}\nclass Notes(ForwardingNotesHandler):\n    {LEAVES}\n")
    assert unimplemented.find_unimplemented(root) == []


def test_module_that_is_not_python_is_an_error(root: Path) -> None:
    (root / "services/orders/entrypoints/rest.py").write_text("\nclass A(\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"services/orders/entrypoints/rest\.py:2: .*; correct the Python syntax"):
        unimplemented.find_unimplemented(root)
