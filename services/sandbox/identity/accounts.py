"""Accounts of the identity provider, with their sessions and out-of-band codes."""

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
    """Error with a message as sent by Google, such as EMAIL_EXISTS."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class OobCodeKind(StrEnum):
    """Purpose of an out-of-band code."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105  # an enum value, not a password
    VERIFY_AND_CHANGE_EMAIL = "VERIFY_AND_CHANGE_EMAIL"


_CODE_LIFETIMES_S = {
    OobCodeKind.VERIFY_EMAIL: 72 * _HOUR_S,
    OobCodeKind.PASSWORD_RESET: _HOUR_S,
    OobCodeKind.VERIFY_AND_CHANGE_EMAIL: 72 * _HOUR_S,
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Times are seconds since 1970, unless documented as milliseconds."""

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
    """A valid out-of-band code."""

    kind: OobCodeKind
    local_id: str
    new_email: str | None


def normalise_email(email: str) -> str:
    """Return the address in lower case, as stored by Google. Raises IdentityError INVALID_EMAIL."""
    if not _EMAIL_PATTERN.fullmatch(email):
        raise IdentityError("INVALID_EMAIL")
    return email.lower()


def validate_claims(attributes: str) -> str:
    """Return the custom claims, unchanged. Raises IdentityError if they are invalid."""
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
    """Return the salted scrypt hash, computed in a thread. Raises IdentityError WEAK_PASSWORD."""
    if len(password) < 6:
        raise IdentityError("WEAK_PASSWORD : Password should be at least 6 characters")
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{(await asyncio.to_thread(_derive_scrypt_key, password, salt)).hex()}"


async def is_password_correct(account: Account | None, password: str) -> bool:
    """Return whether the password is correct. Takes equally long for an unknown account."""
    salt, _, expected = ((account and account.password) or f"{'00' * 16}:").partition(":")
    actual = await asyncio.to_thread(_derive_scrypt_key, password, bytes.fromhex(salt))
    return hmac.compare_digest(actual.hex(), expected)


def _derive_scrypt_key(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**13, r=8, p=1)


def _compute_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _account_from_row(row: sqlite3.Row | None) -> Account | None:
    return msgspec.convert(dict(row), Account, strict=False) if row else None


class AccountRepository:
    """Repository of accounts, refresh tokens and codes. Secrets are stored only as digests."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def create(self, email: str, password: str | None, local_id: str | None = None) -> Account:
        """Create an account; `password` is the result of `hash_password`.

        Raises IdentityError EMAIL_EXISTS, DUPLICATE_LOCAL_ID.
        """
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
        """Return the account, or None."""
        return _account_from_row(self._database.fetch_one("SELECT * FROM accounts WHERE local_id = ?", local_id))

    def find_by_email(self, email: str) -> Account | None:
        """Return the account, or None."""
        return _account_from_row(self._database.fetch_one("SELECT * FROM accounts WHERE email = ?", email.lower()))

    def get(self, local_id: str) -> Account:
        """Return the account. Raises IdentityError USER_NOT_FOUND."""
        account = self.find_by_id(local_id)
        if account is None:
            raise IdentityError("USER_NOT_FOUND")
        return account

    def list_page(self, after: str, size: int) -> list[Account]:
        """Return at most `size` accounts whose id is above `after`, by id."""
        rows = self._database.fetch_all(
            "SELECT * FROM accounts WHERE local_id > ? ORDER BY local_id LIMIT ?", after, size
        )
        return [msgspec.convert(dict(row), Account, strict=False) for row in rows]

    def save(self, account: Account) -> Account:
        """Update the account. A changed e-mail address or password ends its sessions.

        Raises IdentityError EMAIL_EXISTS.
        """
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
        """End the sessions that began up to and including the second `valid_since`; later sessions stay valid.

        Refresh tokens are revoked individually, so that a session of the same second that is created later stays valid.
        """
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
        """Delete the account and its codes. Raises IdentityError USER_NOT_FOUND."""
        with self._database.transaction():
            if not self._database.execute("DELETE FROM accounts WHERE local_id = ?", local_id):
                raise IdentityError("USER_NOT_FOUND")
            self._database.execute("DELETE FROM codes WHERE local_id = ?", local_id)

    def create_session(self, account: Account) -> tuple[str, int]:
        """Create a session. Return its refresh token and start time."""
        now = time.time()
        token = secrets.token_urlsafe(96)
        with self._database.transaction():
            self._database.execute(
                "UPDATE accounts SET last_login_at = ? WHERE local_id = ?", int(now * 1000), account.local_id
            )
            self._database.insert(
                "refresh_tokens", hash=_compute_digest(token), local_id=account.local_id, auth_time=int(now)
            )
        return token, int(now)

    def get_session(self, refresh_token: str) -> tuple[Account, int]:
        """Return the account and the start time of a session.

        Raises IdentityError INVALID_REFRESH_TOKEN, TOKEN_EXPIRED, USER_NOT_FOUND, USER_DISABLED.
        """
        row = self._database.fetch_one(
            "SELECT local_id, auth_time, revoked FROM refresh_tokens WHERE hash = ?", _compute_digest(refresh_token)
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
        """Create an out-of-band code."""
        code = secrets.token_urlsafe(32)
        self._database.insert(
            "codes",
            hash=_compute_digest(code),
            local_id=account.local_id,
            kind=kind,
            new_email=new_email,
            expires_at=int(time.time()) + _CODE_LIFETIMES_S[kind],
        )
        return code

    def get_code(self, code: str) -> OobCode:
        """Return a valid code. Raises IdentityError INVALID_OOB_CODE, EXPIRED_OOB_CODE."""
        row = self._database.fetch_one(
            "SELECT kind, local_id, new_email, expires_at FROM codes WHERE hash = ?", _compute_digest(code)
        )
        if row is None:
            raise IdentityError("INVALID_OOB_CODE")
        if row["expires_at"] <= time.time():
            raise IdentityError("EXPIRED_OOB_CODE")
        return OobCode(OobCodeKind(row["kind"]), row["local_id"], row["new_email"])

    def consume_code(self, code: str) -> OobCode:
        """Return a valid code and delete it. Raises IdentityError like `get_code`."""
        oob_code = self.get_code(code)
        self._database.execute("DELETE FROM codes WHERE hash = ?", _compute_digest(code))
        return oob_code


_MUTABLE_COLUMNS = [
    name for name in Account.__struct_fields__ if name not in ("local_id", "created_at", "last_login_at")
]
_UPDATE_ACCOUNT = f"UPDATE accounts SET {', '.join(f'{name} = ?' for name in _MUTABLE_COLUMNS)} WHERE local_id = ?"  # noqa: S608  # column names are constants
