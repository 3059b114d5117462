"""Mail by SMTP."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.usecases import Mail, NotYet, Undeliverable
from services.runtime.clock import Clock, now

TIMEOUT = 10.0
"""Seconds a server may take."""

PERMANENT = 500
"""SMTP replies from here on say that no repeat will help."""


class Smtp:
    """Sends through one server: `smtp://[user:password@]host:port` (TLS where it is offered), or `smtps://…`."""

    def __init__(self, url: str, sender: str, clock: Clock = now) -> None:
        self._server = urlsplit(url)
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """Hands the mail over. Raises NotYet when the server is away or full, Undeliverable when it never will."""
        message = compose(mail, self._sender)
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
            raise _refusal(error.recipients[0].code) from error
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            raise _refusal(error.code) from error
        except aiosmtplib.SMTPException as error:
            raise NotYet(f"the mail server: {type(error).__name__}") from error


def _refusal(code: int) -> NotYet | Undeliverable:
    return Undeliverable(f"SMTP_{code}") if code >= PERMANENT else NotYet(f"the mail server answered {code}")


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it is sent, but for its date. Raises Undeliverable when the address is none, or more than one."""
    message = EmailMessage()
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, MessageError) as error:
        raise Undeliverable("ADDRESS_INVALID") from error
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
