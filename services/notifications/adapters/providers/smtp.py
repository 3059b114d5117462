"""SMTP client and mail messages."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import override
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.adapters.providers.tracing import trace_send
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Mail, Outcome, ProviderResponse
from services.notifications.usecases.deliver import MailClient
from services.runtime.core.clock import Clock, now

TIMEOUT_S = 10.0
"""Timeout of each SMTP operation."""

MIN_PERMANENT_ERROR_CODE = 500
"""Lowest SMTP reply code of a permanent failure."""


class AddressError(ValueError):
    """The value is not exactly one mail address."""


class SmtpClient(MailClient):
    """SMTP client for one server: `smtp://[user:password@]host:port` (STARTTLS if offered) or `smtps://…`."""

    def __init__(self, url: str, sender: str, clock: Clock = now) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._clock = clock

    @override
    @trace_send("smtp")
    async def send(self, mail: Mail) -> ProviderResponse:
        try:
            message = build_message(mail, self._sender)
        except AddressError:
            return ProviderResponse(Outcome.REJECTED, "ADDRESS_INVALID")
        message["Date"] = format_datetime(self._clock())
        user, password = self._url.username, self._url.password
        try:
            await aiosmtplib.send(
                message,
                hostname=self._url.hostname,
                port=self._url.port,
                username=unquote(user) if user else None,
                password=unquote(password) if password else None,
                use_tls=self._url.scheme == "smtps",
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _map_smtp_reply(error.recipients[0].code)
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            return _map_smtp_reply(error.code)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPReadTimeoutError):
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        except aiosmtplib.SMTPException:
            return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
        return ACCEPTED_RESPONSE


def _map_smtp_reply(code: int) -> ProviderResponse:
    return ProviderResponse(Outcome.REJECTED if code >= MIN_PERMANENT_ERROR_CODE else Outcome.BUSY, f"SMTP_{code}")


def build_message(mail: Mail, sender: str) -> EmailMessage:
    """Return the message without its date. Raises AddressError."""
    message = EmailMessage()
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, MessageError) as error:
        raise AddressError from error
    # A line break would end the header; the library rejects it, so it is replaced with a space.
    message["Subject"] = " ".join(mail.subject.split())
    message["Message-ID"] = f"<{mail.id}@{get_sender_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def get_sender_domain(sender: str) -> str:
    """Return the domain of a sender such as "Delivery <no-reply@delivery.test>"."""
    return sender.rpartition("@")[2].rstrip("> ")
