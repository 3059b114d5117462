"""Types of URLs and addresses in settings; error messages do not contain parts of them, which may be a password."""

import re
from email.utils import parseaddr
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import pika
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, SecretStr

from services.runtime.config.origins import ORIGIN_ERROR, ORIGIN_PATTERN

MAX_PORT = 65535
DATABASE_URL_ERROR = (
    "is not a PostgreSQL URL with a database, such as postgresql://user:password@host:port/database, where special"
    " characters of user and password are percent-encoded, and several hosts are separated by commas"
)
BROKER_URL_ERROR = (
    "is not an AMQP URL, such as amqp://user:password@host:port/vhost, where special characters of user, password and"
    " vhost are percent-encoded, and several hosts are separated by commas"
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
    """Return the URL with the scheme `postgresql`, whose alias is `postgres`. Raises ValueError for another URL."""
    text = re.sub(r"^postgres://", "postgresql://", url.get_secret_value())
    try:
        parameters = conninfo_to_dict(text)
    except psycopg.Error:
        raise ValueError(DATABASE_URL_ERROR) from None
    database, ports = str(parameters.get("dbname", "")), str(parameters.get("port", "")).split(",")
    has_valid_ports = all(not port or is_port(port) for port in ports)
    if not (text.startswith("postgresql://") and database and has_valid_ports and not {"@", "/"} & {*database}):
        raise ValueError(DATABASE_URL_ERROR)
    return SecretStr(text)


def list_broker_urls(url: str) -> list[str]:
    """Return the AMQP URL of each host, if the hosts of a URL are separated by commas."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    return ["".join((scheme, separator, user, at, host, slash, path)) for host in hosts.split(",")]


def _validate_broker_url(url: SecretStr) -> SecretStr:
    for each in list_broker_urls(url.get_secret_value()):
        _split(each, ("amqp", "amqps"), BROKER_URL_ERROR)
        try:
            pika.URLParameters(each)
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


def is_port(text: str) -> bool:
    """Return whether a text is the number of a port."""
    return bool(re.fullmatch(r"\d{1,5}", text, re.ASCII)) and 0 < int(text) <= MAX_PORT


def _validate_hosts_and_ports(addresses: str) -> str:
    for address in addresses.split(","):
        host, _, port = address.rpartition(":")
        if not re.fullmatch(r"[^\s:]+", host) or not is_port(port):
            raise ValueError("is not a host and a port, such as localhost:11211, or a comma-separated list of these")
    return addresses


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

HostsAndPorts = Annotated[str, AfterValidator(_validate_hosts_and_ports)]
"""Comma-separated addresses, each of a host and a port that are separated by a colon."""

MailAddress = Annotated[str, AfterValidator(_validate_mail_address)]
"""Mail address with an optional name."""
