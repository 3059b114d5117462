"""Fixtures of the load tests: the servers of the integration tests."""

from tests.integration.conftest import servers

__all__ = ["servers"]
