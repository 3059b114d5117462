"""Mail by SMTP."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Mail, Outcome, ProviderResponse
from services.runtime.core.clock import Clock, now

TIMEOUT_S = 10.0
"""Seconds a server may take."""

MIN_PERMANENT_ERROR_CODE = 500
"""SMTP replies from here on say that no repeat will help."""


class AddressError(ValueError):
    """It is no address, or more than one."""


class SmtpClient:
    """Sends through one server: `smtp://[user:password@]host:port` (TLS where it is offered), or `smtps://…`."""

    def __init__(self, url: str, sender: str, clock: Clock = now) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> ProviderResponse:
        """Hands the mail over. A connection that breaks while the server answers may have carried it."""
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
    """The mail as it is sent, but for its date. Raises AddressError."""
    message = EmailMessage()
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, MessageError) as error:
        raise AddressError from error
    # A line break in a value would end the header; the library refuses it, and we make it a blank.
    message["Subject"] = " ".join(mail.subject.split())
    message["Message-ID"] = f"<{mail.id}@{get_sender_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def get_sender_domain(sender: str) -> str:
    """The part after the @ of "Delivery <no-reply@delivery.test>"."""
    return sender.rpartition("@")[2].rstrip("> ")
