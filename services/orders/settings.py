"""Settings of the orders service."""

from collections.abc import Iterator
from typing import Annotated, Self, override

from pydantic import Field, model_validator
from pydantic_settings import NoDecode

from services.runtime.config.document_store import DocumentStoreSettings
from services.runtime.config.production_checks import EMULATED, is_public_url
from services.runtime.config.settings import Delays, InboxDays, Targets


class Settings(DocumentStoreSettings):
    """Environment variables of the orders service."""

    allowed_targets: Annotated[Targets, NoDecode] = Field(
        default=(),
        json_schema_extra=EMULATED,
        description="comma-separated origins that may be called although their addresses are private",
    )
    return_url_origins: Annotated[Targets, NoDecode] = Field(
        default=(),
        description="comma-separated origins of the frontends to which banks may send customers after the checkout",
    )
    bank_timeout_seconds: float = Field(
        default=15, gt=0, le=30, description="timeout of a refund request to a bank, in seconds"
    )
    refund_retry_delays_seconds: Annotated[Delays, NoDecode] = Field(
        default=(5, 60, 300, 1800, 7200, 18000, 36000, 50400),
        description="comma-separated delays before the second, third … attempt at a refund, in seconds",
    )
    unpaid_order_timeout_minutes: float = Field(
        default=30, gt=0, description="age at which a pending order expires, in minutes"
    )
    expiry_poll_interval_seconds: float = Field(
        default=5, gt=0, description="interval between polls for unpaid orders to expire, in seconds"
    )
    refund_poll_interval_seconds: float = Field(
        default=5, gt=0, description="interval between polls for due refunds of other processes, in seconds"
    )
    inbox_days: InboxDays = 30
    reconcile_poll_interval_seconds: float = Field(
        default=60, gt=0, description="interval between polls for orders to reconcile, in seconds"
    )
    reconcile_quiet_period_seconds: float = Field(
        default=600, ge=0, description="time without changes after which an order is reconciled, in seconds"
    )
    reconcile_recheck_interval_hours: float = Field(
        default=24, gt=0, description="interval between two reconciliations of the same order, in hours"
    )
    reconcile_window_days: float = Field(
        default=7,
        gt=0,
        description="time after its last change during which an order is reconciled, in days; less than INBOX_DAYS",
    )
    partner_notification_timeout_seconds: float = Field(
        default=1800,
        gt=0,
        description="time a paid order may wait for its partner's acknowledgement before an alert, in seconds",
    )
    pickup_timeout_seconds: float = Field(
        default=3600, gt=0, description="time a ready order may wait for a deliverer before an alert, in seconds"
    )

    @override
    def iter_production_errors(self) -> Iterator[str]:
        yield from super().iter_production_errors()
        if not all(map(is_public_url, self.return_url_origins)):
            yield "RETURN_URL_ORIGINS must contain public https origins only"

    @model_validator(mode="after")
    def _check_reconcile_window(self) -> Self:
        """Ensure that consumers can still deduplicate every event that reconciliation republishes."""
        if self.reconcile_window_days >= self.inbox_days:
            raise ValueError("RECONCILE_WINDOW_DAYS must be less than INBOX_DAYS")
        return self
