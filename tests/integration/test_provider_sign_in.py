"""Sign-in with an identity of Google: accounts, access of earlier registrations, and faults."""

import pytest

from generated.problems import Reason
from services.gateway.domain.accounts import SessionTokens
from services.gateway.domain.provider_sign_in import ProviderSignIn, SignInProvider
from services.gateway.usecases import provider_sign_in
from services.gateway.usecases.token_revocations import RevokedTokens
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from tests.fault_proxy import Fault
from tests.integration.fixtures.gateway import ExpectUnavailable, Gateway, decode_claims


async def issue_provider_token(gateway: Gateway, email: str, *, is_verified: bool = True) -> str:
    claims = {"sub": email, "email": email, "email_verified": is_verified, "given_name": "Ada"}
    url = f"http://127.0.0.1:{gateway.identity_proxy.port}/providers/google.com/tokens"
    return str((await gateway.client.post(url, json=claims)).json()["id_token"])


async def sign_in_with_google(gateway: Gateway, token: str) -> SessionTokens:
    request = ProviderSignIn(SignInProvider.GOOGLE, token)
    return await provider_sign_in.sign_in_with_provider(
        gateway.repository, gateway.identity, RevokedTokens(now), now, request
    )


async def test_first_sign_in_with_provider_creates_customer(gateway: Gateway, email: str) -> None:
    token = await issue_provider_token(gateway, email)
    first, repeated = [await sign_in_with_google(gateway, token) for _ in range(2)]
    assert decode_claims(first.access_token)["role"] == decode_claims(repeated.access_token)["role"] == "customer"
    account = await gateway.repository.accounts.get(first.user_id)
    assert account is not None
    assert (account.email, account.email_verified, account.first_name, account.version) == (email, True, "Ada", 1)
    events = [event for event in await gateway.list_events() if getattr(event, "user_id", "") == first.user_id]
    assert [type(event).__name__ for event in events] == ["UserRegistered"]


async def test_provider_sign_in_ends_access_of_unverified_registration(gateway: Gateway, email: str) -> None:
    eve = await gateway.sign_up(email)
    session = await gateway.sign_in(email)
    tokens = await sign_in_with_google(gateway, await issue_provider_token(gateway, email))
    assert tokens.user_id == eve.user_id
    with pytest.raises(ApiError) as raised:
        await gateway.sign_in(email)
    assert raised.value.reason is Reason.CREDENTIALS_INVALID
    with pytest.raises(ApiError) as raised:
        await gateway.identity.refresh_session(session.refresh_token)
    assert raised.value.reason is Reason.REFRESH_TOKEN_INVALID
    assert (await gateway.identity.refresh_session(tokens.refresh_token)).user_id == eve.user_id


async def test_unverified_provider_email_does_not_take_over_account(gateway: Gateway, email: str) -> None:
    ada = await gateway.sign_up(email)
    await gateway.identity.mark_email_verified(ada.user_id)
    with pytest.raises(ApiError) as raised:
        await sign_in_with_google(gateway, await issue_provider_token(gateway, email, is_verified=False))
    assert raised.value.reason is Reason.PROVIDER_EMAIL_UNVERIFIED
    assert (await gateway.sign_in(email)).user_id == ada.user_id


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.INVALID_RESPONSE])
async def test_provider_sign_in_during_fault_is_unavailable(gateway: Gateway, email: str, fault: Fault) -> None:
    token = await issue_provider_token(gateway, email)
    gateway.identity_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await sign_in_with_google(gateway, token)
