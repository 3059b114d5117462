"""The identity provider's accounts: who there is, what they proved, which sessions and mailed codes are theirs."""

import asyncio
import hashlib
import hmac
import re
import secrets
import sqlite3
import string
import time
from enum import StrEnum

import msgspec

from services.sandbox.store import SqliteDatabase, SqlValue

_RESERVED_CLAIMS = frozenset(
    [
        "acr",
        "amr",
        "at_hash",
        "aud",
        "auth_time",
        "azp",
        "cnf",
        "c_hash",
        "exp",
        "firebase",
        "iat",
        "iss",
        "jti",
        "nbf",
        "nonce",
        "sub",
    ]
)
_EMAIL_PATTERN = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
_HOUR_S = 3600
_LOCAL_ID_ALPHABET = string.ascii_letters + string.digits


class IdentityError(Exception):
    """An error in Google's words, such as EMAIL_EXISTS; the HTTP status is 400 unless told otherwise."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class OobCodeKind(StrEnum):
    """What a mailed code is for."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105  # a name, no password
    VERIFY_AND_CHANGE_EMAIL = "VERIFY_AND_CHANGE_EMAIL"


_CODE_LIFETIMES_S = {
    OobCodeKind.VERIFY_EMAIL: 72 * _HOUR_S,
    OobCodeKind.PASSWORD_RESET: _HOUR_S,
    OobCodeKind.VERIFY_AND_CHANGE_EMAIL: 72 * _HOUR_S,
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One account. Times are seconds since 1970, except where the name says milliseconds."""

    local_id: str
    email: str
    email_verified: bool = False
    password: str | None = None
    display_name: str | None = None
    disabled: bool = False
    custom_attributes: str = "{}"
    valid_since: int
    created_at: int
    """Milliseconds."""
    last_login_at: int | None = None
    """Milliseconds."""
    password_updated_at: int | None = None
    """Milliseconds."""


class OobCode(msgspec.Struct, frozen=True):
    """A mailed code that is still good."""

    kind: OobCodeKind
    local_id: str
    new_email: str | None


def normalise_email(email: str) -> str:
    """Lower case, as Google keeps it. Raises IdentityError INVALID_EMAIL."""
    if not _EMAIL_PATTERN.fullmatch(email):
        raise IdentityError("INVALID_EMAIL")
    return email.lower()


def validate_claims(attributes: str) -> str:
    """Custom claims as they may be kept. Raises IdentityError."""
    if len(attributes) > 1000:
        raise IdentityError("CLAIMS_TOO_LARGE")
    try:
        claims = msgspec.json.decode(attributes, type=dict[str, object])
    except msgspec.DecodeError:
        raise IdentityError("INVALID_CLAIMS") from None
    for claim in sorted(_RESERVED_CLAIMS & claims.keys()):
        raise IdentityError(f"FORBIDDEN_CLAIM : {claim}")
    return attributes


async def hash_password(password: str) -> str:
    """Salted scrypt, off the event loop. Raises IdentityError WEAK_PASSWORD."""
    if len(password) < 6:
        raise IdentityError("WEAK_PASSWORD : Password should be at least 6 characters")
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{(await asyncio.to_thread(_scrypt, password, salt)).hex()}"


async def is_password_correct(account: Account | None, password: str) -> bool:
    """Takes as long for an unknown account as for a known one."""
    salt, _, expected = ((account and account.password) or f"{'00' * 16}:").partition(":")
    found = await asyncio.to_thread(_scrypt, password, bytes.fromhex(salt))
    return hmac.compare_digest(found.hex(), expected)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**13, r=8, p=1)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _account_from_row(row: sqlite3.Row | None) -> Account | None:
    return msgspec.convert(dict(row), Account, strict=False) if row else None


class AccountRepository:
    """The accounts, their refresh tokens and their codes. Secrets are kept as digests only."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def create(self, email: str, password: str | None, local_id: str | None = None) -> Account:
        """`password` as `hash_password` made it. Raises IdentityError EMAIL_EXISTS or DUPLICATE_LOCAL_ID."""
        local_id = local_id or "".join(secrets.choice(_LOCAL_ID_ALPHABET) for _ in range(28))
        if self.find_by_email(email):
            raise IdentityError("EMAIL_EXISTS")
        if self.find_by_id(local_id):
            raise IdentityError("DUPLICATE_LOCAL_ID")
        now = time.time()
        self._database.insert(
            "accounts",
            local_id=local_id,
            email=email,
            password=password,
            valid_since=int(now),
            created_at=int(now * 1000),
            password_updated_at=int(now * 1000) if password else None,
        )
        return self.get(local_id)

    def find_by_id(self, local_id: str) -> Account | None:
        """The account, if there is one."""
        return _account_from_row(self._database.fetch_one("SELECT * FROM accounts WHERE local_id = ?", local_id))

    def find_by_email(self, email: str) -> Account | None:
        """The account, if there is one."""
        return _account_from_row(self._database.fetch_one("SELECT * FROM accounts WHERE email = ?", email.lower()))

    def get(self, local_id: str) -> Account:
        """The account. Raises IdentityError USER_NOT_FOUND."""
        account = self.find_by_id(local_id)
        if account is None:
            raise IdentityError("USER_NOT_FOUND")
        return account

    def list_page(self, after: str, size: int) -> list[Account]:
        """Accounts by id, those behind `after`."""
        rows = self._database.fetch_all(
            "SELECT * FROM accounts WHERE local_id > ? ORDER BY local_id LIMIT ?", after, size
        )
        return [msgspec.convert(dict(row), Account, strict=False) for row in rows]

    def save(self, account: Account) -> Account:
        """Writes the account over. Another e-mail or password ends its sessions. Raises IdentityError EMAIL_EXISTS."""
        before = self.get(account.local_id)
        if (other := self.find_by_email(account.email)) and other.local_id != account.local_id:
            raise IdentityError("EMAIL_EXISTS")
        if (before.email, before.password) != (account.email, account.password):
            account = msgspec.structs.replace(account, valid_since=int(time.time()))
        values: list[SqlValue] = [getattr(account, name) for name in _MUTABLE_COLUMNS]
        with self._database.transaction():
            self._database.execute(_UPDATE_ACCOUNT, *values, account.local_id)
            if before.valid_since != account.valid_since or before.password != account.password:
                self._revoke_refresh_tokens(account)
        return account

    def revoke_sessions(self, account: Account, valid_since: int) -> Account:
        """Ends the sessions that began until then, also in that very second, one by one; a later one goes on."""
        account = msgspec.structs.replace(account, valid_since=valid_since)
        with self._database.transaction():
            self._database.execute(
                "UPDATE accounts SET valid_since = ? WHERE local_id = ?", valid_since, account.local_id
            )
            self._revoke_refresh_tokens(account)
        return account

    def _revoke_refresh_tokens(self, account: Account) -> None:
        self._database.execute(
            "UPDATE refresh_tokens SET revoked = 1 WHERE local_id = ? AND auth_time <= ?",
            account.local_id,
            account.valid_since,
        )

    def delete(self, local_id: str) -> None:
        """The account and its codes. Raises IdentityError USER_NOT_FOUND."""
        with self._database.transaction():
            if not self._database.execute("DELETE FROM accounts WHERE local_id = ?", local_id):
                raise IdentityError("USER_NOT_FOUND")
            self._database.execute("DELETE FROM codes WHERE local_id = ?", local_id)

    def create_session(self, account: Account) -> tuple[str, int]:
        """A refresh token, and when its session began."""
        now = time.time()
        token = secrets.token_urlsafe(96)
        with self._database.transaction():
            self._database.execute(
                "UPDATE accounts SET last_login_at = ? WHERE local_id = ?", int(now * 1000), account.local_id
            )
            self._database.insert("refresh_tokens", hash=_digest(token), local_id=account.local_id, auth_time=int(now))
        return token, int(now)

    def get_session(self, refresh_token: str) -> tuple[Account, int]:
        """Whose session it is, and when it began. Raises IdentityError INVALID_REFRESH_TOKEN, TOKEN_EXPIRED, USER_…"""
        row = self._database.fetch_one(
            "SELECT local_id, auth_time, revoked FROM refresh_tokens WHERE hash = ?", _digest(refresh_token)
        )
        if row is None:
            raise IdentityError("INVALID_REFRESH_TOKEN")
        account = self.get(row["local_id"])
        if account.disabled:
            raise IdentityError("USER_DISABLED")
        if row["revoked"] or row["auth_time"] < account.valid_since:
            raise IdentityError("TOKEN_EXPIRED")
        return account, row["auth_time"]

    def create_code(self, account: Account, kind: OobCodeKind, new_email: str | None = None) -> str:
        """A code to be mailed."""
        code = secrets.token_urlsafe(32)
        self._database.insert(
            "codes",
            hash=_digest(code),
            local_id=account.local_id,
            kind=kind,
            new_email=new_email,
            expires_at=int(time.time()) + _CODE_LIFETIMES_S[kind],
        )
        return code

    def get_code(self, code: str) -> OobCode:
        """What the code is for. Raises IdentityError INVALID_OOB_CODE or EXPIRED_OOB_CODE."""
        row = self._database.fetch_one(
            "SELECT kind, local_id, new_email, expires_at FROM codes WHERE hash = ?", _digest(code)
        )
        if row is None:
            raise IdentityError("INVALID_OOB_CODE")
        if row["expires_at"] <= time.time():
            raise IdentityError("EXPIRED_OOB_CODE")
        return OobCode(OobCodeKind(row["kind"]), row["local_id"], row["new_email"])

    def consume_code(self, code: str) -> OobCode:
        """As `code`, and only once."""
        found = self.get_code(code)
        self._database.execute("DELETE FROM codes WHERE hash = ?", _digest(code))
        return found


_MUTABLE_COLUMNS = [
    name for name in Account.__struct_fields__ if name not in ("local_id", "created_at", "last_login_at")
]
_UPDATE_ACCOUNT = f"UPDATE accounts SET {', '.join(f'{name} = ?' for name in _MUTABLE_COLUMNS)} WHERE local_id = ?"  # noqa: S608  # our own names
