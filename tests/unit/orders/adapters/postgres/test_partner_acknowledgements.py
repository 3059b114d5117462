"""Batches of acknowledgements by partners: one row per order and partner, in a common order."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from services.orders.adapters.postgres.partner_acknowledgements import Acknowledgement, PostgresAcknowledgementStore
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from tests.unit.fake_transactions import NOW

acknowledgements = st.lists(
    st.builds(
        Acknowledgement,
        st.sampled_from(["o1", "o2", "o3"]),
        st.integers(1, 2),
        st.integers(0, 5).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    ),
    min_size=1,
)


class FakeDatabase:
    """Records the rows of each statement."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[Any, ...]]] = []

    async def execute(self, _: Statement, **columns: Sequence[Any]) -> int:
        assert list(columns) == ["order_id", "partner_id", "notified_at"]
        self.batches.append(list(zip(*columns.values(), strict=True)))
        return len(self.batches[-1])


@given(batch=acknowledgements)
async def test_batch_contains_the_earliest_time_of_each_order_and_partner(batch: list[Acknowledgement]) -> None:
    database = FakeDatabase()
    store = PostgresAcknowledgementStore(cast(Database, database))
    assert await store._record_all(batch) == [None] * len(batch)
    (rows,) = database.batches
    expected = {
        (order_id, str(partner_id)): min(each.at for each in batch if each[:2] == (order_id, partner_id))
        for order_id, partner_id, _ in batch
    }
    assert {(order_id, partner_id): at for order_id, partner_id, at in rows} == expected
    assert [row[:2] for row in rows] == sorted(expected)
