"""Rule of the subjects of events: each is the path of a string field that always has a value."""

from collections.abc import Iterable
from typing import Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.errors import ContractError


class EventWithSubject(Protocol):
    """The parts of an event that the rule needs."""

    @property
    def message(self) -> str:
        """Full name of the message."""

    @property
    def subject(self) -> str:
        """Path of the field."""

    @property
    def location(self) -> str:
        """File and line."""


def check_subjects(events: Iterable[EventWithSubject], pool: DescriptorPool) -> None:
    """Raise ContractError for each subject that is not the path of such a field."""
    if errors := [
        f"{event.location}: {event.message}: the subject {event.subject!r} {problem}"
        for event in events
        if (problem := _find_problem(event.subject, pool.FindMessageTypeByName(event.message)))
    ]:
        raise ContractError(*errors)


def _find_problem(subject: str, message: Descriptor) -> str:
    *path, last = subject.split(".")
    for name in path:
        field = message.fields_by_name.get(name)
        if field is None or field.message_type is None or field.is_repeated:
            return f"is no path of fields: {message.full_name} has no single message {name!r}; correct the option"
        message = field.message_type
    field = message.fields_by_name.get(last)
    if field is None:
        names = ", ".join(sorted(message.fields_by_name)) or "none"
        return f"is no field: {message.full_name} has no {last!r} but {names}; correct the option"
    if field.type != FieldDescriptor.TYPE_STRING or field.is_repeated or field.has_presence:
        return f"is not a string that always has a value; change the option, or the type of {field.full_name}"
    return ""
