"""Sign-in with an external provider: first sign-in, existing accounts, and accounts registered by other persons."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import EmailRequested, UserRegistered, UserUpdated
from services.gateway.domain.accounts import AccountState, CodePurpose, SessionTokens, generate_code
from services.gateway.domain.provider_sign_in import ProviderSignIn, SignInProvider
from services.gateway.usecases.provider_sign_in import sign_in_with_provider
from services.gateway.usecases.token_revocations import RevokedTokens
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.gateway.domain.test_provider_sign_in import encode_token
from tests.unit.gateway.fakes import ADA, FakeIdentityProvider, FakeRepository

TOKEN = encode_token({"sub": "1", "email": ADA.email, "email_verified": True})
REQUEST = ProviderSignIn(SignInProvider.GOOGLE, TOKEN, locale="de", notif_token="phone")
SIGN_IN = ("sign_in_with_provider", "google", TOKEN)
VERIFIED = replace(ADA, email_verified=True)


async def sign_in(
    repository: FakeRepository, identity: FakeIdentityProvider, request: ProviderSignIn = REQUEST
) -> SessionTokens:
    return await sign_in_with_provider(repository, identity, RevokedTokens(lambda: NOW), repository.clock, request)


async def test_first_sign_in_creates_verified_account_with_role() -> None:
    repository, identity = FakeRepository(), FakeIdentityProvider()
    tokens = await sign_in(repository, identity)
    assert tokens.user_id == "ada"
    account = repository.accounts["ada"]
    assert (account.state, account.email, account.email_verified) == (AccountState.ACTIVE, ADA.email, True)
    assert (account.first_name, account.last_name, account.role) == ("Ada", "Lovelace", "customer")
    assert (account.locale, account.notif_token, account.notif_token_at) == ("de", "phone", NOW)
    assert identity.calls == [SIGN_IN, ("set_role", "ada", "customer"), ("refresh_session", "refresh")]
    assert [type(event) for event in repository.events] == [UserRegistered]
    assert repository.codes == {}


async def test_interrupted_first_sign_in_is_completed() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await sign_in(repository, FakeIdentityProvider(set_role=Reason.UPSTREAM_UNAVAILABLE))
    assert repository.accounts["ada"].state is AccountState.CREATING
    await sign_in(repository, FakeIdentityProvider())
    assert repository.accounts["ada"].state is AccountState.ACTIVE
    await sign_in(repository, FakeIdentityProvider())
    assert len(repository.events) == 1


async def test_sign_in_to_verified_account_changes_nothing() -> None:
    repository, identity = FakeRepository(VERIFIED), FakeIdentityProvider()
    await sign_in(repository, identity)
    assert repository.accounts == {"ada": VERIFIED}
    assert (identity.calls, repository.events, repository.revocations) == ([SIGN_IN], [], {})


async def test_sign_in_removes_access_of_unverified_registration() -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    await repository.codes.add(generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)[1])
    await sign_in(repository, identity)
    account = repository.accounts["ada"]
    assert (account.email_verified, account.notif_token, account.version) == (True, None, 2)
    assert [call[0] for call in identity.calls] == [
        "sign_in_with_provider",
        "set_password",
        "mark_email_verified",
        "sign_in_with_provider",
    ]
    assert len(identity.calls[1][2]) >= 32
    assert (repository.codes, repository.revocations) == ({}, {"ada": NOW})
    updated, mail = repository.events
    assert isinstance(updated, UserUpdated)
    assert (updated.notif_token, updated.version, updated.devices_removed_until) == (None, 2, NOW)
    assert isinstance(mail, EmailRequested)
    assert mail.template == "password_changed"


async def test_address_of_another_account_is_not_marked_verified() -> None:
    repository, identity = FakeRepository(replace(ADA, email="eve@delivery.test")), FakeIdentityProvider()
    with raises_reason(Reason.PROVIDER_EMAIL_UNVERIFIED):
        await sign_in(repository, identity)
    assert not repository.accounts["ada"].email_verified


async def test_account_that_is_being_deleted_is_not_restored() -> None:
    deleting = ADA.anonymise()
    repository = FakeRepository(deleting)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await sign_in(repository, FakeIdentityProvider())
    assert repository.accounts == {"ada": deleting}


@pytest.mark.parametrize("operation", ["set_password", "mark_email_verified"])
async def test_account_deleted_during_sign_in_is_unavailable(operation: str) -> None:
    identity = FakeIdentityProvider(**{operation: Reason.USER_NOT_FOUND})
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE) as raised:
        await sign_in(FakeRepository(ADA), identity)
    assert raised.value.retry_after


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(REQUEST, id_token=encode_token({"email": ADA.email})), Reason.PROVIDER_EMAIL_UNVERIFIED),
        (replace(REQUEST, id_token="x"), Reason.PROVIDER_TOKEN_INVALID),
        (replace(REQUEST, time_zone="Nowhere/Else"), Reason.TIME_ZONE_UNKNOWN),
    ],
)
async def test_invalid_request_is_rejected_before_any_call(request_: ProviderSignIn, reason: Reason) -> None:
    repository, identity = FakeRepository(ADA), FakeIdentityProvider()
    with raises_reason(reason):
        await sign_in(repository, identity, request_)
    assert (identity.calls, repository.accounts) == ([], {"ada": ADA})


@pytest.mark.parametrize("reason", [Reason.PROVIDER_TOKEN_INVALID, Reason.EMAIL_TAKEN])
async def test_rejection_by_identity_provider_creates_no_account(reason: Reason) -> None:
    repository = FakeRepository()
    with raises_reason(reason):
        await sign_in(repository, FakeIdentityProvider(sign_in_with_provider=reason))
    assert repository.accounts == {}
