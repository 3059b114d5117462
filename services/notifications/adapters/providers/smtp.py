"""SMTP client and mail messages."""

import asyncio
from contextlib import suppress
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

TOTAL_TIMEOUT_S = 25.0
"""Total timeout of one send, from the connection to the response to the message."""

QUIT_TIMEOUT_S = 2.0
"""Timeout of the QUIT command after a send."""

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
        try:
            await self._send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _map_smtp_reply(error.recipients[0].code)
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            return _map_smtp_reply(error.code)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPReadTimeoutError):
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        except aiosmtplib.SMTPException:
            return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
        except TimeoutError:  # also the base class of timeouts of the library, which are mapped above
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        return ACCEPTED_RESPONSE

    async def _send_message(self, message: EmailMessage) -> None:
        """Send the message over a new connection. Raises SMTPException and TimeoutError.

        `aiosmtplib.send` is not used: it waits for the response to QUIT within the total timeout, which would make an
        accepted message unclear, and for TIMEOUT_S after it.
        """
        user, password = self._url.username, self._url.password
        client = aiosmtplib.SMTP(
            hostname=self._url.hostname,
            port=self._url.port,
            username=unquote(user) if user else None,
            password=unquote(password) if password else None,
            use_tls=self._url.scheme == "smtps",
            timeout=TIMEOUT_S,
        )
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                await client.connect()
                await client.send_message(message)
        finally:
            try:
                with suppress(aiosmtplib.SMTPException):
                    await client.quit(timeout=QUIT_TIMEOUT_S)
            finally:
                client.close()


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
