"""Sign-in with the id token of an external identity provider, which creates the account at the first sign-in."""

import secrets

from generated.problems import Reason
from services.gateway.domain import accounts as account_rules
from services.gateway.domain import input_rules
from services.gateway.domain import provider_sign_in as provider_rules
from services.gateway.domain.accounts import Account, SessionTokens
from services.gateway.domain.provider_sign_in import ProviderSignIn
from services.gateway.usecases import accounts
from services.gateway.usecases.ports import IdentityProvider
from services.gateway.usecases.token_revocations import RevokedTokens
from services.gateway.usecases.verification_codes import VerificationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

DELETION_RETRY_AFTER_S = 10


async def sign_in_with_provider(
    repository: VerificationRepository,
    identity: IdentityProvider,
    revoked_tokens: RevokedTokens,
    clock: Clock,
    request: ProviderSignIn,
) -> SessionTokens:
    """Exchange the id token for a session of the account with its verified address, which is created if necessary.

    Raises ApiError: PROVIDER_TOKEN_INVALID, PROVIDER_EMAIL_UNVERIFIED, EMAIL_TAKEN, TIME_ZONE_UNKNOWN, and
    UPSTREAM_UNAVAILABLE while the account is being deleted.
    """
    input_rules.validate_time_zone(request.time_zone)
    email = provider_rules.get_verified_email(request.id_token)
    try:
        tokens = await _sign_in(repository, identity, clock, request, email)
    except ApiError as error:
        if error.reason is not Reason.USER_NOT_FOUND:
            raise
        raise ApiError(
            Reason.UPSTREAM_UNAVAILABLE, "The account is being deleted.", retry_after=DELETION_RETRY_AFTER_S
        ) from error
    return await revoked_tokens.replace_revoked(identity, tokens)


async def _sign_in(
    repository: VerificationRepository, identity: IdentityProvider, clock: Clock, request: ProviderSignIn, email: str
) -> SessionTokens:
    """Sign in, and create or verify the account.

    Raises ApiError: USER_NOT_FOUND while the account is being deleted.
    """
    session = await identity.sign_in_with_provider(request)
    tokens = session.tokens
    account = await repository.accounts.get(tokens.user_id)
    if account is None:
        await _create_account(
            repository, identity, clock, provider_rules.create_account(request, session, email, clock())
        )
        # The first token has no role yet.
        return await identity.refresh_session(tokens.refresh_token)
    if not account.email_verified:
        if account.email != email:
            raise ApiError(Reason.PROVIDER_EMAIL_UNVERIFIED)
        await _verify_account(repository, identity, clock, account)
        return (await identity.sign_in_with_provider(request)).tokens
    return tokens


async def _create_account(
    repository: VerificationRepository, identity: IdentityProvider, clock: Clock, account: Account
) -> None:
    """Create the account, or complete an interrupted creation.

    Raises ApiError: USER_NOT_FOUND.
    """
    async with repository.unit_of_work() as unit:
        await unit.accounts.add(account)
    await identity.set_role(account.id, provider_rules.ROLE)
    await accounts.activate_account(repository, clock, account)
    if await repository.accounts.get(account.id) is None:
        raise ApiError(Reason.USER_NOT_FOUND)


async def _verify_account(
    repository: VerificationRepository, identity: IdentityProvider, clock: Clock, account: Account
) -> None:
    """Mark the address of an account as verified and remove the access of a person who may have registered it before.

    Without it, that person could use a password, sessions and devices of the account that the owner of the address
    uses from now on.

    Raises ApiError: USER_NOT_FOUND.
    """
    await identity.set_password(account.id, secrets.token_urlsafe())
    await identity.mark_email_verified(account.id)
    async with repository.unit_of_work() as unit:
        before = await unit.accounts.get_for_update(account.id)
        if before is None:
            raise ApiError(Reason.USER_NOT_FOUND)
        after = before.with_changes(email_verified=True, notif_token=None, notif_token_at=None)
        await unit.accounts.save(after)
        await unit.codes.delete_all(account.id)
        await unit.revoke_tokens(account.id, clock())
        updated = account_rules.build_user_updated_event(after)
        updated.devices_removed_until = clock()
        await unit.publish(updated)
        await unit.publish(account_rules.build_password_changed_mail(after))
