"""Devices that users register for push notifications."""

from collections.abc import Sequence

from generated.problems import Reason
from services.notifications.domain.notifications import RegisteredDevice, compute_device_id, detect_provider
from services.notifications.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal


async def list_devices(repository: Repository, principal: Principal) -> Sequence[RegisteredDevice]:
    """Return the caller's devices, the latest registration first."""
    return await repository.devices.list_for_user(principal.user_id)


async def register_device(
    repository: Repository, clock: Clock, principal: Principal, token: str, name: str | None
) -> RegisteredDevice:
    """Register a device of the caller, which may have belonged to another user.

    Raises ApiError: TOKEN_REVOKED if the caller's account is deleted.
    """
    device = RegisteredDevice(compute_device_id(token), principal.user_id, token, detect_provider(token), name, clock())
    async with repository.unit_of_work() as unit:
        if not await unit.devices.save(device):
            raise ApiError(Reason.TOKEN_REVOKED)
        return device


async def remove_device(repository: Repository, principal: Principal, device_id: str) -> None:
    """Remove a device of the caller.

    Raises ApiError: DEVICE_NOT_FOUND.
    """
    async with repository.unit_of_work() as unit:
        if not await unit.devices.remove(principal.user_id, device_id):
            raise ApiError(Reason.DEVICE_NOT_FOUND)
