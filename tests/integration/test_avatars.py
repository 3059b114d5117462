"""Avatars during faults of the object storage."""

from datetime import timedelta

import pytest

from services.gateway.domain.images import Image
from services.gateway.usecases import avatars
from tests.fault_proxy import Fault
from tests.integration.fixtures.gateway import FAULTS, ExpectUnavailable, Gateway
from tests.users import create_image


@pytest.mark.parametrize("fault", FAULTS)
async def test_avatar_survives_storage_outage(gateway: Gateway, email: str, fault: Fault) -> None:
    principal = await gateway.sign_up(email)
    await avatars.set_avatar(gateway.repository, gateway.image_store, principal, Image("image/png", create_image()))
    avatar = await avatars.get_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(fault)
    async with ExpectUnavailable():
        await avatars.set_avatar(
            gateway.repository, gateway.image_store, principal, Image("image/png", create_image(colour="blue"))
        )
    async with ExpectUnavailable():
        await avatars.get_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert await avatars.get_avatar(gateway.repository, gateway.image_store, principal) == avatar


async def test_orphaned_avatar_is_deleted_by_clean_up(gateway: Gateway, email: str) -> None:
    principal = await gateway.sign_up(email)
    first = await avatars.set_avatar(
        gateway.repository, gateway.image_store, principal, Image("image/png", create_image())
    )
    gateway.storage_proxy.set_fault(Fault.DOWN)
    await avatars.delete_avatar(gateway.repository, gateway.image_store, principal)
    gateway.storage_proxy.set_fault(Fault.NONE)
    assert first.avatar is not None
    assert await gateway.image_store.get(first.avatar) is not None
    second = await avatars.set_avatar(
        gateway.repository, gateway.image_store, principal, Image("image/png", create_image())
    )
    assert second.avatar is not None
    await gateway.image_store.delete_orphans(
        "avatars", await gateway.repository.accounts.list_avatar_names(), timedelta(seconds=-60)
    )
    assert await gateway.image_store.get(first.avatar) is None
    assert await gateway.image_store.get(second.avatar) is not None
