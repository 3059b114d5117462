"""Queries on the notification history."""

from datetime import datetime

from services.notifications.domain.notifications import HistoryFilter, Notification
from services.notifications.usecases.ports import HistoryRepository
from services.runtime.core import pagination
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal


async def list_for_user(
    history: HistoryRepository, principal: Principal, size: int, page_token: str
) -> Page[Notification]:
    """Return a page of the user's notifications without mails, newest first."""
    return await _list_page(history, HistoryFilter(user_id=principal.user_id), size, page_token, include_mails=False)


async def list_all(
    history: HistoryRepository, history_filter: HistoryFilter, size: int, page_token: str
) -> Page[Notification]:
    """Return a page of the notifications of all users, mails included, newest first."""
    return await _list_page(history, history_filter, size, page_token, include_mails=True)


async def _list_page(
    history: HistoryRepository, history_filter: HistoryFilter, size: int, page_token: str, *, include_mails: bool
) -> Page[Notification]:
    rows = await history.find(
        history_filter,
        size + 1,
        pagination.decode_page_token(page_token, tuple[datetime, str]),
        include_mails=include_mails,
    )
    return pagination.build_page(rows, size, lambda row: (row.created_at.isoformat(), row.id))
