"""Settings of the notifications service."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from services.runtime.config.document_store import DocumentStoreSettings
from services.runtime.config.production_checks import EMULATED, is_emulated
from services.runtime.config.settings import InboxDays
from services.runtime.config.urls import HttpUrl, MailAddress, SmtpUrl

MIN_LEASE_S = 55.0
"""Minimum lease in production: the total timeouts of all providers, and a margin to store the result."""


class Settings(DocumentStoreSettings):
    """Environment variables of the notifications service."""

    google_application_credentials: Path = Field(description="key file of the service account for FCM")
    fcm_url: HttpUrl = Field(
        default="https://fcm.googleapis.com", json_schema_extra=EMULATED, description="FCM base URL"
    )
    apns_url: HttpUrl = Field(
        default="https://api.push.apple.com", json_schema_extra=EMULATED, description="APNs base URL"
    )
    apns_key_file: Path | None = Field(default=None, description=".p8 key file for APNs; APNs is disabled without it")
    apns_key_id: str = Field(default="", description="id of the APNs key, ten characters")
    apns_team_id: str = Field(default="", description="id of the Apple developer team, ten characters")
    apns_topic: str = Field(default="", description="bundle id of the app")
    smtp_url: SmtpUrl = Field(description="SMTP server: smtp://[user:password@]host:port or smtps://")
    mail_from: MailAddress = Field(default="Delivery <no-reply@delivery.test>", description="sender of mails")
    operators_email: str = Field(default="", description="recipient of system alerts; disabled if empty")
    history_days: int = Field(default=90, ge=1, description="retention of the notification history, in days")
    inbox_days: InboxDays = 30
    fallback_seconds: float = Field(
        default=30, ge=0, description="time that a provider may be busy before the next one is used, in seconds"
    )
    lease_seconds: float = Field(
        default=60,
        gt=0,
        description=(
            "lease on a job, in seconds, after which another worker may claim it; "
            f"at least {MIN_LEASE_S:g} in production"
        ),
    )
    workers: int = Field(default=24, ge=1, le=28, description="concurrent deliveries of any priority")
    urgent_workers: int = Field(default=4, ge=1, le=28, description="additional workers for urgent notifications only")

    def iter_production_errors(self) -> Iterator[str]:
        """Yield the common production errors, and those of SMTP_URL and LEASE_SECONDS."""
        yield from super().iter_production_errors()
        if is_emulated(self.smtp_url.get_secret_value()):
            yield "SMTP_URL is for development: the mail server does not deliver mail"
        if self.lease_seconds < MIN_LEASE_S:
            yield f"LEASE_SECONDS must be at least {MIN_LEASE_S:g}: with a shorter lease, messages are sent repeatedly"
