"""Settings of the partners service."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import Delays, InboxDays, ServiceSettings, Targets

DEFAULT_RETRY_DELAYS_S = (0.0, 5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds before the first, second, third … attempt at a call; after the last attempt the call fails."""


class Settings(ServiceSettings):
    """Settings of the partners service."""

    allowed_targets: Annotated[Targets, NoDecode] = Field(
        default=(),
        json_schema_extra=EMULATED,
        description="private origins that may be called, comma-separated",
    )
    partner_timeout_seconds: float = Field(
        default=15, gt=0, le=60, description="timeout of a request to a partner system, in seconds"
    )
    partner_retry_delays_seconds: Annotated[Delays, NoDecode] = Field(
        default=DEFAULT_RETRY_DELAYS_S,
        min_length=1,
        description="seconds before the first, second, third … attempt at a call to a partner, comma-separated",
    )
    inbox_days: InboxDays = 30
    call_history_days: float = Field(
        default=90, ge=7, le=3650, description="retention of finished calls to partners, in days"
    )
