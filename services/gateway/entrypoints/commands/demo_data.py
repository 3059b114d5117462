"""Demo accounts: an admin, a customer and an approved deliverer."""

from generated.problems import Reason
from services.gateway.domain.accounts import Registration
from services.gateway.usecases import accounts
from services.gateway.usecases.ports import IdentityProvider, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (public)
DEMO_ACCOUNTS = {"admin": ("Grace", "Hopper"), "customer": ("Ada", "Byron"), "deliverer": ("Alan", "Turing")}
"""First and last name by role."""


async def load_demo_data(repository: Repository, identity: IdentityProvider, clock: Clock) -> None:
    """Create the demo accounts that do not exist yet, with verified e-mail addresses."""
    for role, (first_name, last_name) in DEMO_ACCOUNTS.items():
        registration = Registration(
            email=f"{role}@delivery.test",
            password=DEMO_PASSWORD,
            first_name=first_name,
            last_name=last_name,
            role=role,
            notif_token=f"demo-{role}",
        )
        try:
            account = await accounts.sign_up(repository, identity, clock, registration)
        except ApiError as error:
            if error.reason is not Reason.EMAIL_TAKEN:
                raise
        else:
            await identity.mark_email_verified(account.id)
            await repository.change_account(account.id, lambda created: created.with_changes(email_verified=True))
