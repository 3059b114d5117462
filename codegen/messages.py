"""Generator of the texts of errors that services add to those of the runtime: `messages.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from codegen.contracts import Contracts, Files
from codegen.errors import ContractError
from codegen.typed_documents import convert_document, read_mapping

MESSAGES_FILE = "api-specs/messages.yaml"

type Format = Literal["amount", "local_time"]


@dataclass(frozen=True)
class Messages:
    """Content of the file; a mesh without additional texts has none."""

    formats: Mapping[str, str] = field(default_factory=dict)
    """Format of a member of an error by its name."""
    names: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Names of values by language, member and value."""
    messages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Messages by language and English message, both with placeholders."""


def load_messages(contracts: Contracts) -> Messages:
    """Return the content of the file. Raises ContractError for an unknown key or format, and values of other types."""
    if not (contracts.root / MESSAGES_FILE).exists():
        return Messages()
    document = read_mapping(contracts.root, MESSAGES_FILE)
    if unknown := sorted(document.content.keys() - {"formats", "names", "messages"}):
        raise ContractError(f"{MESSAGES_FILE}: the key {unknown[0]} is unknown; delete it")
    messages = convert_document(document, Messages)
    formats = get_args(Format.__value__)
    for name, each in messages.formats.items():
        if each not in formats:
            raise ContractError(f"{MESSAGES_FILE}: the format {each} of {name} is unknown; write {', '.join(formats)}")
    return messages


def generate(contracts: Contracts) -> Files:
    """Generate `messages.py`."""
    messages = load_messages(contracts)
    return {
        "messages.py": f'''"""Written by `make generate` from {MESSAGES_FILE}. Do not edit."""

from collections.abc import Mapping

FORMATS: Mapping[str, str] = {dict(messages.formats)!r}
"""Formats of members of errors by name."""

NAMES: Mapping[str, Mapping[str, Mapping[str, str]]] = {dict(messages.names)!r}
"""Names of values by language, member and value."""

MESSAGES: Mapping[str, Mapping[str, str]] = {dict(messages.messages)!r}
"""Messages by language and English message, both with placeholders."""
'''
    }
