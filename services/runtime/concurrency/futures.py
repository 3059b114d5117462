"""Helpers for asyncio futures."""

import asyncio


def mark_exception_retrieved[T](future: asyncio.Future[T]) -> None:
    """Retrieve the exception of a completed future, so that asyncio does not log it when no caller awaits the future.

    For use as a done callback.
    """
    if not future.cancelled():
        future.exception()
