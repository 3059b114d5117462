"""Ports that several use cases share: repositories, the unit of work that is composed of them, and the history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from generated.events import NotificationsEvent
from services.notifications.domain.delivery_state import DeliveryJob, Lease, SourceKey
from services.notifications.domain.notifications import Contact, HistoryFilter, Notification, RegisteredDevice, User
from services.runtime.core.repository import EntityReader, TimeKey
from services.runtime.core.unit_of_work import PublishingUnitOfWork, UnitOfWorkFactory

type PreparedEvent = Mapping[str, object]
"""Event with its trace context."""


class UserReader(EntityReader[str, User], Protocol):
    """Read access to users and their devices."""

    async def get_contact(self, user_id: str) -> Contact:
        """Return a user and the user's devices."""


class UserRepository(Protocol):
    """Users and their devices in a unit of work."""

    async def save(self, user: User) -> None:
        """Store a user's contact data unless a newer version is stored."""

    async def register_device(self, user: User, token: str, registered_at: datetime) -> None:
        """Store a device of a version of the user. It belongs to the user with the latest registration of its token."""

    async def delete_devices(self, user: User) -> None:
        """Delete the devices of this version of the user and of earlier ones, also if these are stored later."""

    async def anonymise_registrations(self, user_id: str) -> None:
        """Remove the user from the registrations of tokens, which do not return to their previous users."""

    async def delete_device(self, user_id: str, token: str) -> None:
        """Delete a device until a newer version of the user registers it again."""


class DeviceReader(Protocol):
    """Read access to the devices that users have registered."""

    async def list_for_user(self, user_id: str) -> Sequence[RegisteredDevice]:
        """Return a user's devices, the latest registration first."""


class DeviceRepository(Protocol):
    """Registered devices in a unit of work."""

    async def save(self, device: RegisteredDevice) -> bool:
        """Store a device and remove the user's oldest ones beyond MAX_DEVICES; return False for a deleted user."""

    async def remove(self, user_id: str, device_id: str) -> bool:
        """Remove a device; return False if the user does not have it."""

    async def remove_all(self, user_id: str, until: datetime | None = None) -> None:
        """Remove the user's devices that were registered until the given time."""


class JobStore(Protocol):
    """Delivery jobs. Each method is a transaction of its own."""

    async def add_new(self, jobs: Mapping[SourceKey, DeliveryJob]) -> set[SourceKey]:
        """Mark the events as processed, and insert the jobs, due unless leased, of the others; return these."""

    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        """Store the job's state and release it until `due_at`; return False if the lease is lost."""

    async def complete(self, results: Mapping[Lease, PreparedEvent]) -> set[Lease]:
        """Delete jobs and publish the events about their results, which may belong to different traces.

        Return the leases of the deleted jobs. The leases of the others are lost, and their events are not published.
        """


class JobRepository(Protocol):
    """Delivery jobs in a unit of work."""

    async def delete_for_user(self, user_id: str) -> None:
        """Delete the user's jobs, but not account mails, which include the confirmation of deletion."""


class UnitOfWork(PublishingUnitOfWork[NotificationsEvent], Protocol):
    """One transaction over users, devices and delivery jobs."""

    users: UserRepository
    devices: DeviceRepository
    jobs: JobRepository


class Repository(UnitOfWorkFactory[UnitOfWork], Protocol):
    """Read access to users and devices, delivery jobs, and the units of work that change several of them."""

    users: UserReader
    devices: DeviceReader
    jobs: JobStore

    def prepare_event(self, event: NotificationsEvent) -> PreparedEvent:
        """Return the event with the current trace context."""


class HistoryRepository(Protocol):
    """History of notifications."""

    async def insert_if_absent(self, notification: Notification) -> None:
        """Insert a notification unless one with the same id exists."""

    async def upsert(self, notification: Notification) -> None:
        """Insert a notification, or replace it unless its status is among the RETAINED_STATUSES of the new one."""

    async def set_failed(self, notification_id: str, reason: str) -> None:
        """Set the status of a queued notification to failed."""

    async def delete_for_user(self, user_id: str) -> None:
        """Delete the notifications of a user."""

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: TimeKey | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        """Return the matching notifications, newest first, starting after the key `before` (creation time, id)."""
