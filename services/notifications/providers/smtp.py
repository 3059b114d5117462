"""Mail by SMTP."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.domain.notifications import ACCEPTED, Answer, Mail, Verdict
from services.runtime.clock import Clock, now

TIMEOUT = 10.0
"""Seconds a server may take."""

PERMANENT = 500
"""SMTP replies from here on say that no repeat will help."""


class AddressError(ValueError):
    """It is no address, or more than one."""


class Smtp:
    """Sends through one server: `smtp://[user:password@]host:port` (TLS where it is offered), or `smtps://…`."""

    def __init__(self, url: str, sender: str, clock: Clock = now) -> None:
        self._server = urlsplit(url)
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> Answer:
        """Hands the mail over. A connection that breaks while the server answers may have carried it."""
        try:
            message = compose(mail, self._sender)
        except AddressError:
            return Answer(Verdict.REFUSED, "ADDRESS_INVALID")
        message["Date"] = format_datetime(self._clock())
        user, password = self._server.username, self._server.password
        try:
            await aiosmtplib.send(
                message,
                hostname=self._server.hostname,
                port=self._server.port,
                username=unquote(user) if user else None,
                password=unquote(password) if password else None,
                use_tls=self._server.scheme == "smtps",
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _replied(error.recipients[0].code)
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            return _replied(error.code)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPReadTimeoutError):
            return Answer(Verdict.UNCLEAR, "TIMEOUT")
        except aiosmtplib.SMTPException:
            return Answer(Verdict.BUSY, "UNREACHABLE")
        return ACCEPTED


def _replied(code: int) -> Answer:
    return Answer(Verdict.REFUSED if code >= PERMANENT else Verdict.BUSY, f"SMTP_{code}")


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it is sent, but for its date. Raises AddressError."""
    message = EmailMessage()
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, MessageError) as error:
        raise AddressError from error
    # A line break in a value would end the header; the library refuses it, and we make it a blank.
    message["Subject"] = " ".join(mail.subject.split())
    message["Message-ID"] = f"<{mail.id}@{sender_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def sender_domain(sender: str) -> str:
    """The part after the @ of "Delivery <no-reply@delivery.test>"."""
    return sender.rpartition("@")[2].rstrip("> ")
