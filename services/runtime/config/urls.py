"""Types of URLs and addresses in settings; error messages do not contain parts of them, which may be a password."""

import re
from email.utils import parseaddr
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import pika
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from services.runtime.config.origins import ORIGIN_ERROR, ORIGIN_PATTERN

MAX_PORT = 65535
DATABASE_URL_ERROR = (
    "is not a PostgreSQL URL with a database, such as postgresql://user:password@host:port/database, where special"
    " characters of user and password are percent-encoded"
)
BROKER_URL_ERROR = (
    "is not an AMQP URL, such as amqp://user:password@host:port/vhost, where special characters of user, password and"
    " vhost are percent-encoded"
)
SMTP_URL_ERROR = (
    "is not an SMTP URL, such as smtp://host:port or smtps://user:password@host:port, where special characters of user"
    " and password are percent-encoded"
)
HTTP_URL_ERROR = "is not a URL that starts with http:// or https://"


def _split(url: str, schemes: tuple[str, ...], error: str) -> SplitResult:
    """Return the parts of a URL. Raises ValueError with the error for another scheme, or an invalid host or port."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        # An unencoded slash in the password would end the host, so that the rest of the URL becomes the path.
        is_valid = is_valid and not {"@", "/"} & {*parts.path[1:]}
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(error)
    return parts


def _normalise_database_url(url: SecretStr) -> SecretStr:
    """Return the URL with the scheme `postgresql`, whose alias is `postgres`. Both libraries must be able to parse it.

    Raises ValueError for another URL.
    """
    text = re.sub(r"^postgres://", "postgresql://", url.get_secret_value())
    try:
        database = conninfo_to_dict(text).get("dbname")
        has_database = text.startswith("postgresql://") and bool(database) and not {"@", "/"} & {*str(database)}
        make_url(text)
    except (psycopg.Error, ArgumentError, ValueError):
        has_database = False
    if not has_database:
        raise ValueError(DATABASE_URL_ERROR)
    return SecretStr(text)


def _validate_broker_url(url: SecretStr) -> SecretStr:
    _split(url.get_secret_value(), ("amqp", "amqps"), BROKER_URL_ERROR)
    try:
        pika.URLParameters(url.get_secret_value())
    except (KeyError, TypeError, ValueError):
        raise ValueError(BROKER_URL_ERROR) from None
    return url


def _validate_smtp_url(url: SecretStr) -> SecretStr:
    _split(url.get_secret_value(), ("smtp", "smtps"), SMTP_URL_ERROR)
    return url


def _validate_http_url(url: str) -> str:
    parts = urlsplit(url)
    _split(parts._replace(path="").geturl(), ("http", "https"), HTTP_URL_ERROR)
    return url


def _validate_optional_http_url(url: str) -> str:
    return _validate_http_url(url) if url else url


def _validate_origin(origin: str) -> str:
    if not ORIGIN_PATTERN.fullmatch(origin):
        raise ValueError(ORIGIN_ERROR)
    return origin


def _validate_host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"\S+", host) or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 0 < int(port) <= MAX_PORT:
        raise ValueError("is not a host and a port, such as localhost:11211")
    return address


def _validate_mail_address(text: str) -> str:
    _, address = parseaddr(text)
    local_part, _, domain = address.rpartition("@")
    if not (text.isprintable() and local_part and domain):
        raise ValueError("is not a mail address, such as Support <no-reply@example.com>")
    return text


DatabaseUrl = Annotated[SecretStr, AfterValidator(_normalise_database_url)]
"""PostgreSQL URL."""

BrokerUrl = Annotated[SecretStr, AfterValidator(_validate_broker_url)]
"""AMQP URL."""

SmtpUrl = Annotated[SecretStr, AfterValidator(_validate_smtp_url)]
"""SMTP URL."""

HttpUrl = Annotated[str, AfterValidator(_validate_http_url)]
"""HTTP URL."""

OptionalHttpUrl = Annotated[str, AfterValidator(_validate_optional_http_url)]
"""HTTP URL, or an empty string."""

Origin = Annotated[str, AfterValidator(_validate_origin)]
"""Origin of HTTP URLs."""

HostAndPort = Annotated[str, AfterValidator(_validate_host_and_port)]
"""Host and port, separated by a colon."""

MailAddress = Annotated[str, AfterValidator(_validate_mail_address)]
"""Mail address with an optional name."""
