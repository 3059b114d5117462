"""What came of notifications."""

from datetime import datetime

from services.notifications.domain.notifications import Notification
from services.notifications.usecases.ports import History, Wanted
from services.runtime import paging
from services.runtime.paging import Page
from services.runtime.principal import Principal


async def mine(history: History, who: Principal, size: int, token: str) -> Page[Notification]:
    """A page of what the user was told, newest first."""
    return await _page(history, Wanted(user_id=who.user_id), size, token, mails=False)


async def everybodys(history: History, wanted: Wanted, size: int, token: str) -> Page[Notification]:
    """A page of what everybody was told, newest first, mails included."""
    return await _page(history, wanted, size, token, mails=True)


async def _page(history: History, wanted: Wanted, size: int, token: str, *, mails: bool) -> Page[Notification]:
    rows = await history.find(wanted, size + 1, paging.decode(token, tuple[datetime, str]), mails=mails)
    return paging.cut(rows, size, lambda row: (row.created_at.isoformat(), row.id))
