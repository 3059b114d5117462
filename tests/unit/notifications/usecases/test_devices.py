"""Devices that users register: registration, owners and removal."""

from datetime import timedelta

from generated.problems import Reason
from services.notifications.domain.notifications import Provider, RegisteredDevice, compute_device_id
from services.notifications.usecases import contacts
from services.notifications.usecases.devices import list_devices, register_device, remove_device
from tests.unit.fake_transactions import build_principal, raises_reason
from tests.unit.notifications.fakes import ADA, START_TIME, FakeBackend

PRINCIPAL, EVE = build_principal("customer"), build_principal("customer", "eve")
APNS_TOKEN = "ab" * 32


async def test_registered_device_is_listed_without_its_token() -> None:
    backend = FakeBackend()
    device = await register_device(backend, backend.clock, PRINCIPAL, APNS_TOKEN, "Telephone")
    assert (device.provider, device.name, device.registered_at) == (Provider.APNS, "Telephone", START_TIME)
    assert (device.user_id, device.token) == ("ada", APNS_TOKEN)
    assert APNS_TOKEN not in repr(device)
    assert await list_devices(backend, PRINCIPAL) == [device]
    assert await list_devices(backend, EVE) == []


async def test_repeated_registration_updates_the_device() -> None:
    backend = FakeBackend()
    first = await register_device(backend, backend.clock, PRINCIPAL, "phone", "Old name")
    second = await register_device(backend, backend.clock, PRINCIPAL, "phone", None)
    assert first.id == second.id
    assert await list_devices(backend, PRINCIPAL) == [second]


async def test_device_moves_to_the_user_of_the_latest_registration() -> None:
    backend = FakeBackend()
    device = await register_device(backend, backend.clock, PRINCIPAL, "phone", None)
    await register_device(backend, backend.clock, EVE, "phone", None)
    assert await list_devices(backend, PRINCIPAL) == []
    with raises_reason(Reason.DEVICE_NOT_FOUND):
        await remove_device(backend, PRINCIPAL, device.id)
    await remove_device(backend, EVE, device.id)
    with raises_reason(Reason.DEVICE_NOT_FOUND):
        await remove_device(backend, EVE, device.id)


async def test_deleted_user_cannot_register_a_device() -> None:
    backend = FakeBackend()
    backend.devices.deleted_users.add("ada")
    with raises_reason(Reason.TOKEN_REVOKED):
        await register_device(backend, backend.clock, PRINCIPAL, "phone", None)


async def test_deletion_of_user_removes_registered_devices() -> None:
    backend = FakeBackend()
    await register_device(backend, backend.clock, PRINCIPAL, "phone", None)
    await register_device(backend, backend.clock, EVE, "tablet", None)
    await contacts.delete_contact(backend, backend, "ada", 9)
    assert [device.token for device in backend.devices.values()] == ["tablet"]


async def test_new_owner_of_account_does_not_receive_earlier_devices() -> None:
    backend = FakeBackend()
    await register_device(backend, backend.clock, PRINCIPAL, "phone", None)
    later = RegisteredDevice(
        compute_device_id("tablet"), "ada", "tablet", Provider.FCM, None, START_TIME + timedelta(seconds=1)
    )
    await backend.devices.save(later)
    await contacts.upsert_contact(backend, ADA, None, None, START_TIME)
    assert await list_devices(backend, PRINCIPAL) == [later]
