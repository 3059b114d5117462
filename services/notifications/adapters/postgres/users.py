"""Users and their devices in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import override

from sqlalchemy import ColumnElement, Text, bindparam, delete, func, literal, null, or_, select, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert

from services.notifications.adapters.postgres.tables import device_owners, devices, registered_devices, users
from services.notifications.domain.notifications import (
    MAX_DEVICES,
    Contact,
    Device,
    Provider,
    User,
    detect_provider,
)
from services.notifications.usecases.ports import UserReader, UserRepository
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction


def hash_token(token: ColumnElement[str]) -> ColumnElement[bytes]:
    """Return the hash of a token, the key of its owner."""
    return func.sha256(func.convert_to(token, "UTF8"))


_user_columns = (users.c.user_id, users.c.email, users.c.locale, users.c.time_zone, users.c.version)
_user_ids_param = bindparam("ids", type_=ARRAY(Text))
_SELECT_USERS = Statement(select(*_user_columns).where(users.c.user_id == _user_ids_param.any_()), row_type=User)
_insert_user = insert(users).values({column.name: bindparam(column.name) for column in _user_columns})
_UPSERT_USER = Statement(
    _insert_user.on_conflict_do_update(
        index_elements=["user_id"],
        set_={column.name: _insert_user.excluded[column.name] for column in _user_columns if not column.primary_key}
        | {"notif_token": null()},
        where=users.c.version < _insert_user.excluded.version,
    )
)
_MARK_DEVICES_CLEARED = Statement(
    update(users)
    .where(users.c.user_id == bindparam("target_user_id"))
    .values(devices_cleared_version=func.greatest(users.c.devices_cleared_version, bindparam("version")))
)
_insert_device = insert(devices).values({name: bindparam(name) for name in ("user_id", "token", "provider", "version")})
_UPSERT_DEVICE = Statement(
    _insert_device.on_conflict_do_update(
        index_elements=["user_id", "token"],
        set_={"version": func.greatest(devices.c.version, _insert_device.excluded.version)},
    )
)
_insert_owner = insert(device_owners).values(
    token_hash=hash_token(bindparam("token", type_=Text)),
    user_id=bindparam("user_id"),
    registered_at=bindparam("registered_at"),
)
UPSERT_OWNER = Statement(
    _insert_owner.on_conflict_do_update(
        index_elements=["token_hash"],
        set_={name: _insert_owner.excluded[name] for name in ("user_id", "registered_at")},
        where=device_owners.c.registered_at <= _insert_owner.excluded.registered_at,
    )
)
_ANONYMISE_OWNER = Statement(
    update(device_owners).where(device_owners.c.user_id == bindparam("target_user_id")).values(user_id=null())
)
_newest_first = (devices.c.version.desc(), devices.c.token)
_active_devices = (
    select(
        devices.c.user_id,
        devices.c.provider,
        devices.c.token,
        func.row_number().over(partition_by=devices.c.user_id, order_by=_newest_first).label("rank"),
    )
    .join(users, users.c.user_id == devices.c.user_id)
    .join(device_owners, device_owners.c.token_hash == hash_token(devices.c.token), isouter=True)
    .where(
        devices.c.user_id == _user_ids_param.any_(),
        devices.c.version > users.c.devices_cleared_version,
        devices.c.version > devices.c.deleted_version,
        # A device that the previous release has registered has no owner yet.
        or_(device_owners.c.token_hash.is_(None), device_owners.c.user_id == devices.c.user_id),
    )
    .subquery()
)
_registered_devices = (
    select(
        registered_devices.c.user_id,
        registered_devices.c.provider,
        registered_devices.c.token,
        literal(0).label("rank"),
    )
    .join(device_owners, device_owners.c.token_hash == hash_token(registered_devices.c.token), isouter=True)
    .where(
        registered_devices.c.user_id == _user_ids_param.any_(),
        or_(device_owners.c.token_hash.is_(None), device_owners.c.user_id == registered_devices.c.user_id),
    )
)
_all_devices = union_all(
    _registered_devices, select(_active_devices).where(_active_devices.c.rank <= MAX_DEVICES)
).subquery()
_device = func.json_build_array(_all_devices.c.provider, _all_devices.c.token)
_devices_by_user = (
    select(_all_devices.c.user_id, func.json_agg(aggregate_order_by(_device, _all_devices.c.rank)).label("devices"))
    .group_by(_all_devices.c.user_id)
    .subquery()
)
_SELECT_USERS_WITH_DEVICES = Statement(
    select(*_user_columns, _devices_by_user.c.devices)
    .join(_devices_by_user, _devices_by_user.c.user_id == users.c.user_id, isouter=True)
    .where(users.c.user_id == _user_ids_param.any_())
)
_MARK_DEVICE_DELETED = Statement(
    update(devices)
    .where(devices.c.user_id == bindparam("target_user_id"), devices.c.token == bindparam("target_token"))
    .values(deleted_version=devices.c.version)
)
_DELETE_OLD_DEVICES = Statement(
    delete(devices).where(devices.c.user_id == bindparam("user_id"), devices.c.version <= bindparam("version"))
)


class PostgresUserReader(UserReader):
    """Read access to users and devices in PostgreSQL; concurrent reads share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._user_batcher = MicroBatcher(self._load_users)
        self._contact_batcher = MicroBatcher(self._load_contacts)

    @override
    async def get(self, key: str) -> User | None:
        return await self._user_batcher.submit(key)

    async def _load_users(self, user_ids: Sequence[str]) -> Sequence[User | None]:
        rows = await self._database.fetch_all(_SELECT_USERS, ids=list(set(user_ids)))
        users_by_id = {user.user_id: user for user in rows}
        return [users_by_id.get(user_id) for user_id in user_ids]

    @override
    async def get_contact(self, user_id: str) -> Contact:
        return await self._contact_batcher.submit(user_id)

    async def _load_contacts(self, user_ids: Sequence[str]) -> Sequence[Contact]:
        contacts: dict[str, Contact] = {}
        for row in await self._database.fetch_all(_SELECT_USERS_WITH_DEVICES, ids=list(set(user_ids))):
            devices = (Device(Provider(provider), token) for provider, token in row.pop("devices") or ())
            # A registered device may also be in the profile. Dictionaries retain the order of their keys.
            contacts[row["user_id"]] = Contact(User(**row), [*dict.fromkeys(devices)])
        return [contacts.get(user_id, Contact(None, ())) for user_id in user_ids]


class PostgresUserRepository(UserRepository):
    """Users and devices of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def save(self, user: User) -> None:
        await self._transaction.execute(_UPSERT_USER, **asdict(user))

    @override
    async def register_device(self, user: User, token: str, registered_at: datetime) -> None:
        await self._transaction.execute(
            _UPSERT_DEVICE,
            user_id=user.user_id,
            token=token,
            provider=detect_provider(token),
            version=user.version,
        )
        await self._transaction.execute(UPSERT_OWNER, token=token, user_id=user.user_id, registered_at=registered_at)

    @override
    async def delete_devices(self, user: User) -> None:
        # Deleting alone is not enough: a late event of an older version may register a device.
        await self._transaction.execute(_MARK_DEVICES_CLEARED, target_user_id=user.user_id, version=user.version)
        await self._transaction.execute(_DELETE_OLD_DEVICES, user_id=user.user_id, version=user.version)

    @override
    async def anonymise_registrations(self, user_id: str) -> None:
        await self._transaction.execute(_ANONYMISE_OWNER, target_user_id=user_id)

    @override
    async def delete_device(self, user_id: str, token: str) -> None:
        await self._transaction.execute(_MARK_DEVICE_DELETED, target_user_id=user_id, target_token=token)
