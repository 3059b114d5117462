"""Measured operations of a database, one for each kind of statement, and hooks of insertions."""

from collections.abc import Callable
from typing import Protocol

from services.runtime.telemetry.database_operations import DatabaseOperation, Measurement


class DescribedStatement(Protocol):
    """Statement with its operation, its first table and a summary of both."""

    @property
    def operation(self) -> str:
        """Operation, such as UPDATE."""

    @property
    def collection(self) -> str:
        """First table."""

    @property
    def summary(self) -> str:
        """Summary for spans."""


class StatementOperations:
    """Measured operations of a database, by the summary of statements, and its hooks of insertions, by table."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._by_summary: dict[str, DatabaseOperation] = {}
        self.insertion_hooks: dict[str, Callable[[], None]] = {}

    def measure(self, statement: DescribedStatement) -> Measurement:
        """Return a context manager that measures the statement."""
        operation = self._by_summary.get(statement.summary)
        if operation is None:
            operation = DatabaseOperation(
                "postgresql", self._namespace, statement.operation, statement.collection, statement.summary
            )
            self._by_summary[statement.summary] = operation
        return operation.measure()
