"""Demo data: an admin, a customer and an approved deliverer, and the pictures of the demo partners and products."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

from generated.problems import Reason
from services.gateway.domain.accounts import Registration
from services.gateway.usecases import accounts, profiles
from services.gateway.usecases.ports import IdentityProvider
from services.gateway.usecases.verification_codes import VerificationRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

DEMO_PASSWORD = "delivery-demo-1"  # noqa: S105 (public)
DEMO_ACCOUNTS = {"admin": ("Grace", "Hopper"), "customer": ("Ada", "Byron"), "deliverer": ("Alan", "Turing")}
"""First and last name by role."""

PICTURES_DIR = Path(__file__).with_name("demo_pictures")
PICTURE_MEDIA_TYPE = "image/webp"


async def load_demo_data(repository: VerificationRepository, identity: IdentityProvider, clock: Clock) -> None:
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
            await profiles.verify_email(repository, identity, account.id)


def iter_pictures() -> Iterator[tuple[str, bytes]]:
    """Yield object name and content of each picture. The demo data of the partners service refers to these names."""
    for path in sorted(PICTURES_DIR.glob("*/*.webp")):
        content = path.read_bytes()
        yield f"{path.parent.name}/{'demo-' + path.stem:_<32}.{hashlib.sha256(content).hexdigest()}", content


async def save_pictures(put: Callable[[str, bytes, str], Awaitable[None]]) -> None:
    """Store the pictures that do not exist yet. `put` raises FileExistsError for an existing name."""
    for name, content in iter_pictures():
        with suppress(FileExistsError):
            await put(name, content, PICTURE_MEDIA_TYPE)
