"""Words of the domain in the generators and the runtime, which know it only from the contracts."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("codegen", "services/runtime")
SUFFIXES = (".json", ".md", ".mjs", ".py", ".tmpl", ".toml", ".ts", ".yaml")
WORDS = frozenset(
    {
        *("bank", "basket", "catalog", "checkout", "courier", "customer", "deliverer", "delivery", "dish", "kitchen"),
        *("meal", "notification", "order", "partner", "payment", "product", "reconciliation", "refund", "restaurant"),
    }
)
"""Name of the mesh, and words of its services and types, in the singular."""

COMMON_WORDS = frozenset({"order", "order_by", "product", "products"})
"""Names and words of prose with another meaning: a sequence, a clause of SQL, and software."""

EXCEPTIONS = {
    "codegen/checks/language.yaml": ("*", "lists verbs of the services, and exceptions for files by name"),
    "codegen/checks/openapi.py": ("redocly_suppress_notifications", "variable of Redocly"),
    "codegen/scaffold/templates/*": (
        "*",
        "extend files of this repository, one of whose events they consume",
    ),
    "services/runtime/messaging/outbox.py": ("*notification*", "NOTIFY of PostgreSQL"),
    "services/runtime/storage/listener.py": ("*notification*", "NOTIFY of PostgreSQL"),
}
"""Permitted tokens by pattern of the file, with the reason."""

AMQP_TERMS = re.compile(
    r"\w*delivery_(tag|mode)\b|confirm_delivery|DeliveryMode|[Dd]elivery tags?\b|\bdelivery: MessageMetadata"
    r"|FLAG_DELIVERY_MODE"
    r"|\b(x-)?delivery-(attempt|dead-at|dead-reason|limit|outages|replays)\b|\b_UNLIMITED_DELIVERIES\b"
    r"|\bdeliveries of\b|\bcounts as a delivery\b|\bDelivery is unordered\b"
)
"""Names and phrases in which the word stands for the delivery of a message, as in AMQP."""

TOKEN_PATTERN = re.compile(r"[^\W\d]\w*")
PART_PATTERN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def to_singular(word: str) -> str:
    return re.sub(r"ies$", "y", word) if word.endswith("ies") else re.sub(r"(?<=sh)es$|s$", "", word)


def find_tokens(text: str) -> Iterator[str]:
    """Yield the names and words of a text that contain a word of the domain."""
    for token in TOKEN_PATTERN.findall(AMQP_TERMS.sub("", text)):
        parts = {to_singular(part.lower()) for part in PART_PATTERN.findall(token)}
        if parts & WORDS and token not in COMMON_WORDS:
            yield token


def is_exception(path: str, token: str) -> bool:
    return any(fnmatch(path, file) and fnmatch(token.lower(), pattern) for file, (pattern, _) in EXCEPTIONS.items())


def find_domain_words(root: Path) -> list[str]:
    """Return the words of the domain, with their file, except the exceptions."""
    paths = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in SUFFIXES)
    names = {str(path.relative_to(root)): path for path in paths}
    return [
        f"{name}: {token}"
        for name, path in sorted(names.items())
        for token in find_tokens(f"{name} {path.read_text(encoding='utf-8')}")
        if not is_exception(name, token)
    ]


def test_generators_and_runtime_contain_no_word_of_the_domain() -> None:
    assert find_domain_words(ROOT) == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('EXCHANGE = "delivery.events"', ["delivery"]),
        ("delivery_outbox_lag_seconds", ["delivery_outbox_lag_seconds"]),
        ('"order_id" of an OrderPaid in order of time', ["order_id", "OrderPaid"]),
        ("ORDERS, dishes and deliveries", ["ORDERS", "dishes", "deliveries"]),
        ("statement.order_by(key), the border of a product", []),
        ("acknowledge up to a delivery tag, delivery_tag, x-delivery-limit", []),
    ],
)
def test_words_are_found_in_names_and_text(text: str, tokens: list[str]) -> None:
    assert list(find_tokens(text)) == tokens


def test_added_word_is_found_unless_its_file_is_an_exception(tmp_path: Path) -> None:
    for name in ("codegen/mesh.py", "services/runtime/storage/listener.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("on_notification = 1\n", encoding="utf-8")
    assert find_domain_words(tmp_path) == ["codegen/mesh.py: on_notification"]


@pytest.mark.parametrize("file", EXCEPTIONS)
def test_every_exception_is_in_use(file: str) -> None:
    pattern, _ = EXCEPTIONS[file]
    paths = [path for path in ROOT.glob(file.replace("*", "**/*")) if path.suffix in SUFFIXES]
    tokens = (token for path in paths for token in find_tokens(path.read_text(encoding="utf-8")))
    assert any(fnmatch(token.lower(), pattern) for token in tokens)
