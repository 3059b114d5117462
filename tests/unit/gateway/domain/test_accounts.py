"""Accounts, verification codes and their events."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain import accounts
from services.gateway.domain.accounts import CODE_TTL, AccountState, CodePurpose, Registration, SessionTokens
from tests.unit.fake_transactions import NOW
from tests.unit.gateway.fakes import ADA

RETAINED_FIELDS = {"id", "state", "email_verified", "avatar", "version", "created_at"}


def test_anonymised_account_has_no_personal_data() -> None:
    account = replace(ADA, email_verified=True, birth_date=date(1815, 12, 10), avatar="avatars/x")
    anonymised = account.anonymise()
    rest = {name: getattr(anonymised, name) for name in ADA.__slots__ if name not in RETAINED_FIELDS}
    assert not any(rest.values()), rest
    assert not anonymised.email_verified
    assert (anonymised.state, anonymised.version) == (AccountState.DELETING, 2)
    assert (anonymised.id, anonymised.avatar) == ("ada", "avatars/x")


def test_next_version_leaves_original_unchanged() -> None:
    changed = ADA.with_changes(first_name="Augusta")
    assert (changed.first_name, changed.version) == ("Augusta", 2)
    assert (ADA.first_name, ADA.version) == ("Ada", 1)


def test_stored_texts_become_enum_members() -> None:
    account = replace(ADA, state="deleting")
    code = accounts.VerificationCode(b"", "confirm", "ada", None, NOW)
    assert account.state is AccountState.DELETING
    assert code.purpose is CodePurpose.EMAIL_VERIFICATION


@pytest.mark.parametrize("text", ["activ", "", "ACTIVE"])
def test_unknown_stored_state_raises(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid AccountState"):
        replace(ADA, state=text)


@pytest.mark.parametrize("purpose", CodePurpose)
def test_code_is_stored_as_digest_with_expiry(purpose: CodePurpose) -> None:
    plain_code, code = accounts.generate_code(purpose, "ada", NOW, "new@delivery.test")
    assert code.digest == accounts.hash_secret(plain_code)
    assert plain_code not in repr(code)
    assert repr(code.digest) not in repr(code)
    assert code.expires_at - NOW == CODE_TTL[purpose] > timedelta(0)
    assert (code.purpose, code.user_id, code.new_email) == (purpose, "ada", "new@delivery.test")


def test_codes_have_128_bits_and_differ() -> None:
    codes = {accounts.generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)[0] for _ in range(100)}
    assert len(codes) == 100
    assert {len(code) for code in codes} == {22}


@given(st.emails())
def test_normalised_email_ignores_case(email: str) -> None:
    normalised = accounts.normalise_email(email)
    assert accounts.normalise_email(email.upper()) == accounts.normalise_email(normalised) == normalised


def test_secrets_are_not_in_representations() -> None:
    registration = Registration("a@b.c", "p4ssword", "Ada", "L", None)
    tokens = SessionTokens("4ccess", "r3fresh", 3600, "ada", NOW)
    assert "p4ssword" not in repr(registration)
    assert not {"4ccess", "r3fresh"} & set(repr(tokens).split("'"))


@pytest.mark.parametrize("build", [accounts.build_user_registered_event, accounts.build_user_updated_event])
def test_contact_event_contains_contact_data(build) -> None:
    event = build(ADA)
    assert (event.user_id, event.email, event.version) == ("ada", "ada@delivery.test", 1)
    assert (event.notif_token, event.locale, event.time_zone) == ("token", "de", "Europe/Vienna")


def test_deleted_event_contains_version_and_time() -> None:
    event = accounts.build_user_deleted_event(ADA.anonymise(), NOW)
    assert (event.user_id, event.version, event.at) == ("ada", 2, NOW)


@pytest.mark.parametrize(
    ("purpose", "template"),
    [
        (CodePurpose.EMAIL_VERIFICATION, None),
        (CodePurpose.EMAIL_CHANGE, "email_changed"),
        (CodePurpose.PASSWORD_RESET, "password_changed"),
    ],
)
def test_old_address_is_mailed_about_change_by_code(purpose: CodePurpose, template: str | None) -> None:
    new_email = "new@delivery.test" if purpose is CodePurpose.EMAIL_CHANGE else None
    _, code = accounts.generate_code(purpose, "ada", NOW, new_email)
    after = ADA.with_changes(email=new_email or ADA.email, email_verified=True)
    updated, *mails = accounts.build_code_used_events(code, ADA, after)
    assert updated == accounts.build_user_updated_event(after)
    assert [(mail.email, mail.template) for mail in mails] == ([(ADA.email, template)] if template else [])


def test_mail_about_deletion_does_not_contain_the_user_id() -> None:
    mail = accounts.build_account_deleted_mail(ADA)
    assert (mail.email, mail.template) == (ADA.email, "account_deleted")
    assert mail.user_id
    assert mail.user_id != ADA.id
