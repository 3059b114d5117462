"""Registered devices in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, override

from sqlalchemy import Text, bindparam, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.notifications.adapters.postgres.tables import device_owners, registered_devices, users
from services.notifications.adapters.postgres.users import UPSERT_OWNER, hash_token
from services.notifications.domain.notifications import MAX_DEVICES, Provider, RegisteredDevice
from services.notifications.usecases.ports import DeviceReader, DeviceRepository
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement, bind_columns
from services.runtime.storage.transactions.transaction import Transaction

_latest_first = (registered_devices.c.registered_at.desc(), registered_devices.c.id)
_SELECT_DEVICES = Statement(
    select(registered_devices)
    .join(device_owners, device_owners.c.token_hash == hash_token(registered_devices.c.token), isouter=True)
    .where(
        registered_devices.c.user_id == bindparam("user_id"),
        or_(device_owners.c.token_hash.is_(None), device_owners.c.user_id == registered_devices.c.user_id),
    )
    .order_by(*_latest_first)
    .limit(MAX_DEVICES)
)
_LOCK_USER = Statement(select(users.c.email).where(users.c.user_id == bindparam("user_id")).with_for_update(read=True))
_insert_device = insert(registered_devices).values(bind_columns(registered_devices))
_UPSERT_DEVICE = Statement(
    _insert_device.on_conflict_do_update(
        index_elements=["id"],
        set_={name: _insert_device.excluded[name] for name in ("user_id", "name", "registered_at")},
    )
)
_DELETE_OLDEST_DEVICES = Statement(
    delete(registered_devices).where(
        registered_devices.c.user_id == bindparam("user_id"),
        registered_devices.c.id.in_(
            select(registered_devices.c.id)
            .where(registered_devices.c.user_id == bindparam("user_id"))
            .order_by(*_latest_first)
            .offset(MAX_DEVICES)
        ),
    )
)
_DELETE_DEVICE = Statement(
    delete(registered_devices).where(
        registered_devices.c.user_id == bindparam("user_id", type_=Text), registered_devices.c.id == bindparam("id")
    )
)
_until_param = bindparam("until", type_=TIMESTAMPTZ)
_DELETE_DEVICES = Statement(
    delete(registered_devices).where(
        registered_devices.c.user_id == bindparam("user_id"),
        or_(_until_param.is_(None), registered_devices.c.registered_at <= _until_param),
    )
)


def _device_from_row(row: dict[str, Any]) -> RegisteredDevice:
    return RegisteredDevice(**(row | {"provider": Provider(row["provider"])}))


class PostgresDeviceReader(DeviceReader):
    """Read access to registered devices in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def list_for_user(self, user_id: str) -> Sequence[RegisteredDevice]:
        return [_device_from_row(row) for row in await self._database.fetch_all(_SELECT_DEVICES, user_id=user_id)]


class PostgresDeviceRepository(DeviceRepository):
    """Registered devices of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def save(self, device: RegisteredDevice) -> bool:
        # The lock orders the registration and the deletion of the user.
        user = await self._transaction.fetch_one(_LOCK_USER, user_id=device.user_id)
        if user is not None and not user["email"]:
            return False
        await self._transaction.execute(_UPSERT_DEVICE, **asdict(device))
        await self._transaction.execute(
            UPSERT_OWNER, token=device.token, user_id=device.user_id, registered_at=device.registered_at
        )
        await self._transaction.execute(_DELETE_OLDEST_DEVICES, user_id=device.user_id)
        return True

    @override
    async def remove(self, user_id: str, device_id: str) -> bool:
        return await self._transaction.execute(_DELETE_DEVICE, user_id=user_id, id=device_id) == 1

    @override
    async def remove_all(self, user_id: str, until: datetime | None = None) -> None:
        await self._transaction.execute(_DELETE_DEVICES, user_id=user_id, until=until)
