"""Imports of message classes into a generated module, under names that nothing else in the module has."""

from collections import defaultdict
from collections.abc import Iterable

from codegen.naming import get_unqualified_name
from codegen.rpc.python_names import get_class_name


class ImportedMessages(dict[str, str]):
    """Names of the imported classes by the full names of the messages, which are not nested.

    A class is imported under its own name unless the module defines the name itself, or imports a class of the same
    name from another package; then the name is that of the message with its package: `library_loans_v1_Method`.
    """

    def __init__(self, full_names: Iterable[str], own_names: Iterable[str]) -> None:
        messages_by_class: defaultdict[str, set[str]] = defaultdict(set)
        for full_name in full_names:
            messages_by_class[get_class_name(get_unqualified_name(full_name))].add(full_name)
        taken = frozenset(own_names)
        super().__init__(
            {
                full_name: class_name
                if class_name not in taken and len(messages) == 1
                else f"{full_name.rpartition('.')[0].replace('.', '_')}_{class_name}"
                for class_name, messages in messages_by_class.items()
                for full_name in messages
            }
        )

    def render_imports(self) -> str:
        """Render one import for each package."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for full_name, name in sorted(self.items()):
            class_name = get_class_name(get_unqualified_name(full_name))
            names[full_name.rpartition(".")[0]].append(name if name == class_name else f"{class_name} as {name}")
        return "\n".join(
            f"from generated.proto.{package} import {', '.join(classes)}" for package, classes in sorted(names.items())
        )
