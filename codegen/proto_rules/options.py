"""Reader of the custom options of methods and events."""

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message


class OptionReader:
    """Reader of the custom options, which descriptors carry as extensions defined in `pool`."""

    def __init__(self, pool: DescriptorPool, package: str) -> None:
        self._pool = pool
        self.package = package
        self._callers = pool.FindEnumTypeByName(f"{package}.Caller").values_by_number

    def read(self, options: Message, extension_name: str) -> Any:
        """Return the message of the option, or None if the option is absent."""
        extension: Any = self._pool.FindExtensionByName(f"{self.package}.{extension_name}")
        message_factory.GetMessageClass(extension.message_type)
        own = message_factory.GetMessageClass(extension.containing_type).FromString(options.SerializeToString())
        return own.Extensions[extension] if own.HasExtension(extension) else None

    def list_caller_names(self) -> tuple[str, ...]:
        """Return all callers except CALLER_UNSPECIFIED."""
        return tuple(self.format_caller_name(number) for number in sorted(self._callers) if number)

    def format_caller_name(self, number: int) -> str:
        """Convert CALLER_GATEWAY to "gateway"."""
        name: str = self._callers[number].name
        return name.removeprefix("CALLER_").lower()
