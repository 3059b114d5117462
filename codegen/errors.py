"""Errors of the generators, and their collection: a run reports all errors, not only the first."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class ContractError(Exception):
    """The contracts contradict each other or a rule; each message names the place and the fix."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class ContractErrors:
    """Collector of contract errors."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, message: str) -> None:
        """Add an error."""
        self.messages.append(message)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the errors of the block instead of raising them; the block ends at the first one."""
        try:
            yield
        except ContractError as error:
            self.messages += error.messages

    def raise_if_any(self) -> None:
        """Raise ContractError with all different messages, in the order in which they were added."""
        if self.messages:
            raise ContractError(*dict.fromkeys(self.messages))


def map_all[Item, Result](function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of a function for all items. Raises ContractError with the errors of all of them."""
    errors, results = ContractErrors(), list[Result]()
    for item in items:
        with errors.collect():
            results.append(function(item))
    errors.raise_if_any()
    return results
