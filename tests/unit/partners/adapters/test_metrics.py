"""Metrics of calls to partner systems."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from generated.problems import Reason
from services.partners.adapters import metrics
from services.partners.domain.call_policy import Call, CallKind, CallState, Outcome, PartnerResponse
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.storage.database import Database
from tests.metric_values import read_metric

AT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeDatabase:
    """Database with one row of the query of open breakers, or an error."""

    def __init__(self, row: Mapping[str, Any] | None, error: Exception | None = None) -> None:
        self._row = row
        self._error = error

    async def fetch_one(self, _: object, **values: datetime) -> Mapping[str, Any] | None:
        assert abs(values["now"] - now()) < timedelta(minutes=1)
        if self._error is not None:
            raise self._error
        return self._row


@pytest.mark.parametrize("kind", CallKind)
@pytest.mark.parametrize("outcome", Outcome)
def test_response_is_counted_by_kind_and_outcome(kind: CallKind, outcome: Outcome) -> None:
    call = Call("c1", 1, "o1", kind, {}, {}, CallState.WAITING, 1, AT, AT)
    labels = {"kind": str(kind), "outcome": str(outcome)}
    count = read_metric("delivery_partners_responses_total", **labels)
    metrics.record_response(call, PartnerResponse(outcome, "a summary"))
    assert read_metric("delivery_partners_responses_total", **labels) == count + 1


@pytest.mark.parametrize(("row", "value"), [({"partners": 3}, 3), ({"partners": 0}, 0), (None, 0)])
async def test_open_breakers_are_counted(row: Mapping[str, int] | None, value: int) -> None:
    await metrics.build_open_breakers_refresh(cast(Database, FakeDatabase(row)))()
    assert read_metric("delivery_partners_breakers_open") == value


async def test_gauge_has_no_value_while_database_is_unavailable() -> None:
    await metrics.build_open_breakers_refresh(cast(Database, FakeDatabase({"partners": 3})))()
    refresh = metrics.build_open_breakers_refresh(
        cast(Database, FakeDatabase(None, ApiError(Reason.UPSTREAM_UNAVAILABLE)))
    )
    with pytest.raises(ApiError):
        await refresh()
    assert read_metric("delivery_partners_breakers_open") == 0
