"""Load tests stand on the same servers as integration tests."""

from tests.integration.conftest import servers

__all__ = ["servers"]
