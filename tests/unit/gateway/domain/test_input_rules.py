"""Rules of the data of accounts: e-mail addresses, time zones and birth dates."""

from datetime import date
from email import message_from_bytes, policy

import pytest
from aiosmtplib.email import extract_recipients, flatten_message
from firebase_admin._auth_utils import validate_email as validate_firebase_email
from hypothesis import assume, example, given
from hypothesis import strategies as st

from generated.problems import Reason
from services.gateway.domain import accounts, input_rules
from services.notifications.adapters.providers.smtp import build_message
from services.notifications.domain.notifications import Mail
from services.runtime.core.errors import ApiError
from services.runtime.core.json_schema import compile_schema
from services.sandbox.identity.accounts import normalise_email as normalise_sandbox_email
from tests.unit.fake_transactions import NOW, raises_reason

EMAIL_PATTERN = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,20}(\.[A-Za-z0-9-]{1,20}){0,3}"

EMAIL_SCHEMA = compile_schema({"type": "string", "format": "email"})


@pytest.mark.parametrize(
    "time_zone",
    ["Mars/Olympus", "", "europe/vienna", "../etc/passwd", "localtime", "Factory", "posixrules", "posix/UTC", "Europe"],
)
def test_unknown_time_zone_raises(time_zone: str) -> None:
    with raises_reason(Reason.TIME_ZONE_UNKNOWN):
        input_rules.validate_time_zone(time_zone)


@pytest.mark.parametrize("birth_date", [None, date(1900, 1, 1), date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)])
def test_birth_date_of_a_past_day_is_valid(birth_date: date | None) -> None:
    """In the east of Kiribati, 2 January has begun."""
    input_rules.validate_birth_date(birth_date, NOW)


@pytest.mark.parametrize("birth_date", [date(2026, 1, 3), date(9999, 12, 31)])
def test_birth_date_in_the_future_raises(birth_date: date) -> None:
    with raises_reason(Reason.BIRTH_DATE_IN_FUTURE):
        input_rules.validate_birth_date(birth_date, NOW)


@pytest.mark.parametrize("time_zone", [None, "UTC", "Europe/Vienna", "Asia/Calcutta", "Etc/GMT+5", "EST5EDT"])
def test_known_time_zone_is_valid(time_zone: str | None) -> None:
    input_rules.validate_time_zone(time_zone)


@pytest.mark.parametrize(
    "email", ['"a@b"@x.test', '"a b"@x.test', '"ab"@x.test', "a@[127.0.0.1]", "=?utf-8?q?a?=@x.test"]
)
def test_email_that_other_services_cannot_process_raises(email: str) -> None:
    with raises_reason(Reason.ACCOUNT_REFUSED):
        input_rules.validate_email(email)


@given(st.from_regex(EMAIL_PATTERN, fullmatch=True))
@example("a!#$%&'*+/=?^_`{|}~-@x.test")
@example(f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.te")
@example("1@2")
def test_valid_email_is_accepted_by_every_service(email: str) -> None:
    assume(len(email) <= 254 and EMAIL_SCHEMA.is_valid(email))
    try:
        input_rules.validate_email(email)
    except ApiError:
        return
    normalised = accounts.normalise_email(email)
    assert validate_firebase_email(normalised) == normalise_sandbox_email(email) == normalised
    message = build_message(Mail("id", normalised, "subject", "text", "html"), "Delivery <no-reply@delivery.test>")
    assert extract_recipients(message) == [normalised]
    (recipient,) = message_from_bytes(flatten_message(message), policy=policy.default)["To"].addresses
    assert recipient.addr_spec == normalised
