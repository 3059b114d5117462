"""Ready reports of partners: once per webhook id and partner, only about orders of the partner."""

from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderReadyReported
from services.partners.domain.partners import ReadyReport
from services.partners.usecases import ready_callbacks
from services.runtime.core.errors import ApiError
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import raises_reason
from tests.unit.partners.fakes import BOWL, CALL, FakeRepository

REPORT = ReadyReport(1, "o1", "1 Market Square")


async def test_report_is_published_once_per_webhook_id() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    for webhook_id in ("w1", "w1", "w2"):
        await ready_callbacks.report_order_ready(repository, REPORT, webhook_id)
    event = OrderReadyReported(order_id="o1", partner_id=1, pickup_address="1 Market Square")
    assert repository.events == [event] * 2


@pytest.mark.parametrize("changes", [{"order_id": "o2"}, {"order_id": "unknown"}, {"pickup_address": "2 Lane"}])
async def test_other_report_under_used_webhook_id_raises(changes: dict[str, str]) -> None:
    repository = FakeRepository(BOWL, calls=[CALL, CALL.__replace__(id="c2", order_id="o2")])
    await ready_callbacks.report_order_ready(repository, REPORT, "w1")
    for _ in range(2):
        with raises_reason(Reason.WEBHOOK_ID_REUSED):
            await ready_callbacks.report_order_ready(repository, replace(REPORT, **changes), "w1")
    await ready_callbacks.report_order_ready(repository, REPORT, "w1")
    assert [(event.order_id, event.pickup_address) for event in repository.events] == [("o1", "1 Market Square")]


async def test_report_about_order_of_other_partner_raises() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await ready_callbacks.report_order_ready(repository, ReadyReport(2, "o1", "x"), "w1")
    assert repository.events == []


async def test_rejected_report_may_be_repeated() -> None:
    repository = FakeRepository(BOWL)
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await ready_callbacks.report_order_ready(repository, REPORT, "w1")
    repository.calls["c1"] = CALL
    await ready_callbacks.report_order_ready(repository, REPORT, "w1")
    assert len(repository.events) == 1


async def test_partners_do_not_share_webhook_ids() -> None:
    repository = FakeRepository(BOWL, calls=[CALL, CALL.__replace__(id="c2", partner_id=2, order_id="o2")])
    for report in (ReadyReport(1, "o1", "x"), ReadyReport(2, "o2", "x")):
        await ready_callbacks.report_order_ready(repository, report, "w1")
    assert [event.partner_id for event in repository.events] == [1, 2]


async def test_unknown_partner_has_no_callback_secrets() -> None:
    repository = FakeRepository()
    assert await ready_callbacks.get_callback_secrets(repository, None, repository.clock, 1) == []


async def test_callback_is_verified_before_its_report_is_published() -> None:
    secret_box = SecretBox(Fernet.generate_key().decode())
    repository = FakeRepository(replace(BOWL, webhook_secret=secret_box.encrypt("secret")), calls=[CALL])
    received: list[list[str]] = []

    def reject(secrets: list[str]) -> None:
        raise ApiError(Reason.SIGNATURE_INVALID)

    with raises_reason(Reason.SIGNATURE_INVALID):
        await ready_callbacks.handle_ready_callback(repository, secret_box, repository.clock, REPORT, "w1", reject)
    assert repository.events == []
    accept = received.append
    await ready_callbacks.handle_ready_callback(repository, secret_box, repository.clock, REPORT, "w1", accept)
    assert (len(repository.events), received) == (1, [["secret"]])
