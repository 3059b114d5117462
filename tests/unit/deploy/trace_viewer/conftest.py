"""Store with one trace of two services, shared by the tests of the trace viewer."""

import pytest

from deploy.trace_viewer.store import TraceStore
from tests.unit.deploy.trace_viewer.spans import CHILD_SPAN, ROOT_SPAN, create_batch, create_store


@pytest.fixture
def store() -> TraceStore:
    return create_store(create_batch(ROOT_SPAN), create_batch(CHILD_SPAN, service="orders"))
