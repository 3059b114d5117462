"""Injected faults: their modes, counts and targets."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.sandbox.fault_injection import BankFault, BankFaultMode, FaultInjector, PartnerFault, PartnerFaultMode
from services.sandbox.store import SqliteDatabase


def test_fault_expires_after_its_count(fault_injector: FaultInjector) -> None:
    fault_injector.set("bank:visa", BankFaultMode.ERROR, 2)
    assert [fault_injector.consume("bank:visa") for _ in range(3)] == ["error", "error", "none"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(count=st.integers(1, 30), requests=st.integers(0, 35))
def test_remaining_requests_are_counted_down(fault_injector: FaultInjector, count: int, requests: int) -> None:
    fault_injector.set("bank:visa", BankFaultMode.SLOW, count)
    modes = [fault_injector.consume("bank:visa") for _ in range(requests)]
    assert modes.count("slow") == min(count, requests)
    remaining = count - requests
    assert fault_injector.get("bank:visa") == (("slow", remaining) if remaining > 0 else ("none", None))


def test_fault_without_count_lasts_until_it_is_reset(fault_injector: FaultInjector) -> None:
    fault_injector.set("bank:visa", BankFaultMode.SLOW, None)
    assert [fault_injector.consume("bank:visa") for _ in range(3)] == ["slow"] * 3
    fault_injector.set("bank:visa", BankFaultMode.NONE, 5)
    assert fault_injector.get("bank:visa") == ("none", None)


def test_fault_applies_to_its_target_only(fault_injector: FaultInjector) -> None:
    fault_injector.set("bank:visa", BankFaultMode.ERROR, None)
    assert fault_injector.consume("bank:km") == "none"
    assert fault_injector.consume("partner:1") == "none"


def test_new_fault_replaces_the_previous_one(fault_injector: FaultInjector) -> None:
    fault_injector.set("partner:1", PartnerFaultMode.ERROR, 5)
    fault_injector.set("partner:1", PartnerFaultMode.BUSY, 1)
    assert fault_injector.get("partner:1") == ("busy", 1)


def test_fault_survives_a_restart(database: SqliteDatabase) -> None:
    FaultInjector(database, 0).set("bank:visa", BankFaultMode.ERROR, 2)
    assert FaultInjector(database, 0).consume("bank:visa") == "error"


def test_reading_a_fault_does_not_count_a_request(fault_injector: FaultInjector) -> None:
    fault_injector.set("bank:visa", BankFaultMode.ERROR, 1)
    assert fault_injector.get("bank:visa") == fault_injector.get("bank:visa") == ("error", 1)


async def test_delay_is_that_of_the_settings(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []

    async def record(delay_s: float) -> None:
        delays.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", record)
    await FaultInjector(database, 20).delay()
    assert delays == [20]


@pytest.mark.parametrize(
    "body",
    [{}, {"mode": "gone"}, {"mode": "error", "count": 0}, {"mode": "error", "count": 1001}, {"mode": "", "x": 1}],
)
def test_invalid_fault_of_a_bank_is_rejected(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, BankFault)


@pytest.mark.parametrize("mode", PartnerFaultMode)
def test_every_fault_of_a_partner_is_accepted(mode: PartnerFaultMode) -> None:
    assert msgspec.convert({"mode": str(mode), "count": 1000}, PartnerFault) == PartnerFault(mode, 1000)
