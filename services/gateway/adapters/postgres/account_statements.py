"""Compiled statements on accounts, codes and code requests."""

from dataclasses import fields

from sqlalchemy import ARRAY, Boolean, Text, any_, bindparam, cast, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from services.gateway.adapters.postgres.tables import accounts, code_requests, codes
from services.gateway.domain.accounts import Account, AccountState, VerificationCode
from services.runtime.storage.job_queue import JobTable
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement
from services.runtime.storage.statements.text_comparison import normalise_case

ACCOUNT_FIELDS = [field.name for field in fields(Account)]
MUTABLE_FIELDS = [name for name in ACCOUNT_FIELDS if name not in ("id", "created_at")]
_is_active = accounts.c.state == AccountState.ACTIVE


ADD_ACCOUNT = Statement(
    postgresql.insert(accounts)
    .values({name: bindparam(name) for name in ACCOUNT_FIELDS})
    .on_conflict_do_nothing(index_elements=["id"])
)
ACTIVATE_ACCOUNT = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"), accounts.c.state == AccountState.CREATING)
    .values(state="active")
)
DELETE_CODES = Statement(delete(codes).where(codes.c.user_id == bindparam("user_id")))
DELETE_CODES_OF_PURPOSES = Statement(
    delete(codes).where(
        codes.c.user_id == bindparam("user_id"), codes.c.purpose == any_(bindparam("purposes", type_=ARRAY(Text)))
    )
)
DELETE_UNFINISHED_ACCOUNT = Statement(
    delete(accounts).where(accounts.c.id == bindparam("user_id"), accounts.c.state != AccountState.ACTIVE)
)
GET_ACCOUNT = Statement(select(accounts).where(accounts.c.id == bindparam("user_id"), _is_active), row_type=Account)
LOCK_ACCOUNT = Statement(
    select(accounts).where(accounts.c.id == bindparam("user_id"), _is_active).with_for_update(key_share=True),
    row_type=Account,
)
GET_ACCOUNT_BY_EMAIL = Statement(
    select(accounts).where(accounts.c.email == bindparam("email"), _is_active).limit(1), row_type=Account
)
_role_param, _prefix_param = (cast(bindparam(name), Text) for name in ("role", "prefix"))
_approved_param, _disabled_param = (cast(bindparam(name), Boolean) for name in ("approved", "disabled"))
LIST_ACCOUNTS = Statement(
    select(accounts)
    .where(
        _is_active,
        tuple_(accounts.c.created_at, accounts.c.id)
        < tuple_(bindparam("before_at", type_=TIMESTAMPTZ), bindparam("before_id", type_=Text)),
        or_(_role_param.is_(None), accounts.c.role == _role_param),
        or_(_approved_param.is_(None), accounts.c.role.is_not(None) == _approved_param),
        or_(_disabled_param.is_(None), accounts.c.disabled == _disabled_param),
        or_(
            _prefix_param.is_(None),
            *(
                func.starts_with(normalise_case(accounts.c[name]), normalise_case(_prefix_param))
                for name in ("email", "first_name", "last_name")
            ),
        ),
    )
    .order_by(accounts.c.created_at.desc(), accounts.c.id.desc())
    .limit(bindparam("size")),
    row_type=Account,
)
LIST_UNFINISHED_ACCOUNTS = Statement(
    select(accounts)
    .where(accounts.c.state != AccountState.ACTIVE, accounts.c.created_at < bindparam("before"))
    .order_by(accounts.c.created_at)
    .limit(bindparam("size")),
    row_type=Account,
)
SAVE_ACCOUNT = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("user_id"))
    .values({name: bindparam(f"new_{name}") for name in MUTABLE_FIELDS})
)
LIST_AVATAR_NAMES = Statement(select(accounts.c.avatar).where(accounts.c.avatar.is_not(None)))
ADD_CODE = Statement(insert(codes).values({field.name: bindparam(field.name) for field in fields(VerificationCode)}))
DELETE_EXPIRED_CODES = Statement(
    delete(codes).where(codes.c.user_id == bindparam("user_id"), codes.c.expires_at <= bindparam("now"))
)
COUNT_VALID_CODES = Statement(
    select(func.count().label("valid_codes")).where(
        codes.c.user_id == bindparam("user_id"),
        codes.c.purpose == bindparam("purpose"),
        codes.c.expires_at > bindparam("now"),
    )
)
GET_CODE = Statement(select(codes).where(codes.c.digest == bindparam("digest")), row_type=VerificationCode)
FIND_CODE = Statement(select(codes.c.digest).where(codes.c.digest == bindparam("digest")))
DELETE_CODE = Statement(delete(codes).where(codes.c.digest == bindparam("digest")))
ADD_CODE_REQUEST = Statement(
    insert(code_requests).values({name: bindparam(name) for name in ("purpose", "email", "user_id", "trace")})
)
_code_request_jobs = JobTable(code_requests, lease_end=code_requests.c.next_at, attempts=code_requests.c.attempts)
CLAIM_CODE_REQUESTS = _code_request_jobs.build_claim(
    select(code_requests.c.id)
    .where(or_(code_requests.c.next_at.is_(None), code_requests.c.next_at <= bindparam("now")))
    .order_by(code_requests.c.id),
    returning=list(code_requests.c),
)
RESCHEDULE_CODE_REQUEST = _code_request_jobs.build_leased_update({"next_at": bindparam("not_before")})
DELETE_CODE_REQUESTS = Statement(delete(code_requests).where(code_requests.c.user_id == bindparam("user_id")))
DELETE_CODE_REQUEST = Statement(
    delete(code_requests).where(
        code_requests.c.id == bindparam("job_id"), code_requests.c.attempts == bindparam("lease_token")
    )
)
