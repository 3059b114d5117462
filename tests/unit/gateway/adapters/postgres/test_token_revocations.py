"""Loading of token revocations without notifications, and after an outage of the database."""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from generated.problems import Reason
from services.gateway.adapters.postgres import token_revocations
from services.gateway.adapters.postgres.token_revocations import TokenRevocationListener
from services.gateway.usecases.token_revocations import RevokedTokens, TokenRevocation
from services.runtime.core.errors import ApiError
from tests.integration.fixtures.background_tasks import run_in_background
from tests.wait import wait_until_async

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeDatabase:
    """Database without a server to listen to. A query raises the next of `errors`, or returns `rows`."""

    def __init__(self, url: str, *errors: ApiError) -> None:
        self.url = url
        self.rows: list[TokenRevocation] = []
        self.errors = [*errors]

    async def fetch_all(self, statement: object, **values: object) -> Sequence[TokenRevocation]:
        if self.errors:
            raise self.errors.pop()
        return self.rows


async def test_revocations_are_polled_without_notifications_and_after_errors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(token_revocations, "POLL_INTERVAL_S", 0.01)
    revoked_tokens = RevokedTokens(lambda: NOW)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{unused.getsockname()[1]}/none"
        database: Any = FakeDatabase(url, ApiError(Reason.UPSTREAM_UNAVAILABLE))
        database.rows.append(TokenRevocation("ada", NOW))
        async with run_in_background(TokenRevocationListener(database, revoked_tokens, lambda: NOW).run()):
            await wait_until_async(lambda: revoked_tokens.find_revocation("ada", NOW), 2)
            database.rows.append(TokenRevocation("ben", NOW))
            await wait_until_async(lambda: revoked_tokens.find_revocation("ben", NOW), 2)
    assert "periodic job failed: loading token revocations" in caplog.text


async def test_revocations_are_not_polled_while_notifications_are_received() -> None:
    database: Any = FakeDatabase("postgresql://database.test/none")
    listener = TokenRevocationListener(database, RevokedTokens(lambda: NOW), lambda: NOW)
    assert listener._get_interval_s() == token_revocations.POLL_INTERVAL_S
    listener._listener.is_listening = True
    assert listener._get_interval_s() == token_revocations.RELOAD_INTERVAL_S
