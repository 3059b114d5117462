"""Ports of the use cases: protocols that the outbound adapters implement."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from generated.events import GatewayEvent
from services.gateway.domain.accounts import TAKEOVER_PURPOSES, Account, AccountFilter, CodePurpose, SessionTokens
from services.gateway.domain.images import Image
from services.gateway.domain.provider_sign_in import ProviderSession, ProviderSignIn
from services.runtime.core.repository import EntityRepository, TimeSortedEntityReader
from services.runtime.core.unit_of_work import PublishingUnitOfWork, UnitOfWorkFactory


class IdentityProvider(Protocol):
    """Provider of e-mail addresses, passwords and roles. Every method raises ApiError: UPSTREAM_UNAVAILABLE."""

    async def create(self, user_id: str, email: str, password: str, role: str | None) -> None:
        """Create an account. Raises ApiError: EMAIL_TAKEN, ACCOUNT_REFUSED."""

    async def exists(self, user_id: str) -> bool:
        """Return whether the account exists."""

    async def delete(self, user_id: str) -> None:
        """Delete an account, if it exists."""

    async def mark_email_verified(self, user_id: str) -> None:
        """Mark the e-mail address as verified. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def change_email(self, user_id: str, email: str) -> None:
        """Set another, verified, e-mail address. Raises ApiError: EMAIL_TAKEN, USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_password(self, user_id: str, password: str) -> None:
        """Set the password and end every session. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_role(self, user_id: str, role: str) -> None:
        """Set the role claim of access tokens issued from now on. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Prevent or permit new sessions. Disabling ends every session. Raises ApiError: USER_NOT_FOUND."""

    async def sign_in(self, email: str, password: str) -> SessionTokens:
        """Exchange the credentials for tokens. Raises ApiError: CREDENTIALS_INVALID, also for an unknown address."""

    async def sign_in_with_provider(self, request: ProviderSignIn) -> ProviderSession:
        """Exchange a provider's id token for tokens, creating the account of its address if it does not exist.

        Raises ApiError: PROVIDER_TOKEN_INVALID, EMAIL_TAKEN if the provider may not be used for an existing account.
        """

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Exchange a refresh token for new tokens. Raises ApiError: REFRESH_TOKEN_INVALID."""

    async def revoke_refresh_tokens(self, user_id: str) -> None:
        """Revoke all refresh tokens of the account. Raises ApiError: USER_NOT_FOUND, ACCOUNT_REFUSED."""


class LoginRateLimiter(Protocol):
    """Limit of failed attempts to guess a password or a code."""

    def limit(self, account: str | None, client_address: str) -> AbstractAsyncContextManager[None]:
        """Count a failure unless the block succeeds. Raises ApiError: TOO_MANY_REQUESTS, UPSTREAM_UNAVAILABLE."""


class ImageStore(Protocol):
    """Images in object storage. Every method raises ApiError: UPSTREAM_UNAVAILABLE."""

    async def add(self, folder: str, image: Image) -> str:
        """Normalise and store an image. Returns its name. Raises ApiError: PICTURE_REFUSED, UNSUPPORTED_MEDIA_TYPE."""

    async def get(self, name: str) -> Image | None:
        """Return the image."""

    async def delete(self, name: str) -> None:
        """Delete the image, if it exists."""

    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        """Delete the folder's images that are older than `min_age` and not referenced. Returns their number."""


class AccountReader(TimeSortedEntityReader[Account, AccountFilter], Protocol):
    """Read access to active accounts."""

    async def get_by_email(self, email: str) -> Account | None:
        """Return the active account with the address."""

    async def list_unfinished(self, before: datetime, size: int) -> Sequence[Account]:
        """Return accounts created before the given time that are being created or deleted."""

    async def list_avatar_names(self) -> set[str]:
        """Return the object names of all avatars."""


class AccountRepository(EntityRepository[str, Account], Protocol):
    """Active accounts in a unit of work, and those that are being created or deleted."""

    async def add(self, account: Account) -> None:
        """Insert an account that is being created, unless its id exists."""

    async def activate(self, user_id: str) -> bool:
        """Make an account that is being created active; return False if it is not being created."""

    async def delete_unfinished(self, user_id: str) -> None:
        """Delete an account that is being created or deleted."""


class UnitOfWork(PublishingUnitOfWork[GatewayEvent], Protocol):
    """One transaction over accounts, token revocations and the invalidation of codes."""

    accounts: AccountRepository

    async def revoke_tokens(self, user_id: str, revoked_at: datetime) -> None:
        """Revoke the user's access tokens that were issued until `revoked_at`."""

    async def invalidate_codes(self, user_id: str, purposes: Collection[CodePurpose] = TAKEOVER_PURPOSES) -> None:
        """Delete the user's codes with these purposes, and the requests for codes that change the user's address.

        Precedes `revoke_tokens`, so that concurrent transactions lock rows in the same order.
        """


class Repository(UnitOfWorkFactory[UnitOfWork], Protocol):
    """Read access to accounts, and the units of work that change them."""

    accounts: AccountReader
