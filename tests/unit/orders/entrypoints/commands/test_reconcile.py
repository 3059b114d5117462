"""Command `reconcile`: output and result, also while the document store or a bank is unavailable."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.orders.domain.orders import HistoryEntry
from services.orders.domain.payments import Payment, PaymentRecord
from services.orders.entrypoints.commands.reconcile import run_reconcile
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import BANK, FakeHistory, FakeRepository, build_order
from tests.unit.orders.usecases.test_bank_reconciliation import PAYMENTS, FakeLister
from tests.unit.orders.usecases.test_reconciliation import POLICY
from tests.unit.orders.usecases.test_reconciliation_run import SlowHistory


class UnavailableHistory(FakeHistory):
    """Document store that does not respond."""

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE)


class BrokenHistory(FakeHistory):
    """Document store in which the documents of some orders cause an unexpected error."""

    def __init__(self, *failing_ids: str) -> None:
        super().__init__()
        self.failing_ids = failing_ids

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        if not {*order_ids}.isdisjoint(self.failing_ids):
            raise ValueError("unexpected")
        return await super().find_by_orders(order_ids)


async def reconcile(repository: FakeRepository, history: FakeHistory, payments: Sequence[Payment] = ()) -> bool:
    repository.now = NOW + POLICY.quiet_period
    return await run_reconcile(repository, history, FakeLister(payments), repository.clock, POLICY)


async def test_discrepancies_are_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    repository, history = FakeRepository(build_order()), FakeHistory()
    assert await reconcile(repository, history)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("o1  HISTORY_MISSING  repaired  ")
    assert lines[1].startswith("1 orders reconciled, 1 discrepancies, 0 stuck; ")
    assert len(lines) == 2


async def test_number_of_skipped_orders_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    recent = replace(build_order(order_id="o2"), updated_at=NOW + timedelta(seconds=1))
    assert await reconcile(FakeRepository(build_order(), recent), FakeHistory())
    assert capsys.readouterr().out.splitlines()[-1] == "1 orders skipped: changed within the last 60 s"


async def test_unavailable_document_store_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    repository = FakeRepository(*(build_order(order_id=f"o{number}") for number in range(5)))
    assert not await reconcile(repository, UnavailableHistory())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("incomplete: UPSTREAM_UNAVAILABLE: ")
    assert line.endswith("; 0 orders reconciled, 0 discrepancies")


async def test_failed_orders_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    repository = FakeRepository(build_order(), build_order(order_id="o2"))
    assert not await reconcile(repository, SlowHistory(10, failing_ids=["o2"]))
    assert "1 orders failed: o2" in capsys.readouterr().out


async def test_orders_with_unexpected_errors_are_failed_orders(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    repository = FakeRepository(*(build_order(order_id=f"o{number}") for number in range(6)))
    assert not await reconcile(repository, BrokenHistory("o0", "o1", "o2", "o3"))
    lines = capsys.readouterr().out.splitlines()
    assert "2 orders reconciled, 2 discrepancies, 0 stuck; 2 overdue events" in lines
    assert lines[-1] == "4 orders failed: o0 o1 o2 o3"
    assert [record.exc_info is not None for record in caplog.records if "order o0 failed" in record.message] == [True]


async def test_unexpected_error_of_the_run_is_one_line_and_logged(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> int:
        raise ValueError("unexpected")

    repository = FakeRepository(build_order())
    monkeypatch.setattr(repository, "count_overdue_events", fail)
    assert not await reconcile(repository, FakeHistory())
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "incomplete: ValueError: unexpected; 1 orders reconciled, 1 discrepancies"
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_payments_that_only_banks_have_recorded_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    repository = FakeRepository(banks=[replace(BANK, id=bank_id) for bank_id in ("km", "visa")])
    assert await reconcile(repository, FakeHistory(), PAYMENTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("payments of bank km not compared: UPSTREAM_UNAVAILABLE")
    assert lines[1] == "o1  PAYMENT_NOT_RECORDED  reported  payment p1 of bank visa: $2.00"
    assert lines[-1] == "3 payments of banks are not recorded"
    assert {event.reason for event in repository.events} == {"PAYMENT_NOT_RECORDED"}
