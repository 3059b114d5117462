"""Command line: `python -m services.loans serve|migrate`."""

from sqlalchemy import Column, MetaData, Table, Text, bindparam, insert, select

from generated.events import EVENTS, LoansEvent
from generated.problems import Reason
from generated.proto.library.events.v1 import LoanStarted
from generated.proto.library.loans import v1
from generated.proto.library.loans.v1.rpc import LoansServicer
from services.runtime.config.settings import ServiceSettings
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.process.cli import main
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement

loans = Table(
    "loans",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("reader_id", Text, nullable=False),
    Column("title_id", Text, nullable=False),
    Column("started_at", TIMESTAMPTZ, nullable=False),
)
ADD_LOAN = Statement(insert(loans).values({column.name: bindparam(column.name) for column in loans.c}))
GET_LOAN = Statement(
    select(loans.c.id, loans.c.title_id, loans.c.started_at).where(
        loans.c.id == bindparam("loan_id"), loans.c.reader_id == bindparam("reader_id")
    )
)


class LoansRpc(LoansServicer):
    """Implementation of the generated servicer."""

    def __init__(self, database: Database, outbox: Outbox[LoansEvent]) -> None:
        self._database = database
        self._outbox = outbox

    async def start_loan(self, request: v1.StartLoanRequest, principal: Principal) -> v1.StartLoanResponse:
        """Store a loan of the caller and publish its event."""
        loan = v1.Loan(id=generate_id(), title_id=request.title_id, started_at=now())
        event = LoanStarted(loan_id=loan.id, title_id=loan.title_id, started_at=loan.started_at)
        async with self._database.transaction() as transaction:
            await transaction.execute(
                ADD_LOAN,
                id=loan.id,
                reader_id=principal.user_id,
                title_id=loan.title_id,
                started_at=loan.started_at,
            )
            self._outbox.add(transaction, event)
        return v1.StartLoanResponse(loan=loan)

    async def get_loan(self, request: v1.GetLoanRequest, principal: Principal) -> v1.GetLoanResponse:
        """Return a loan of the caller."""
        row = await self._database.fetch_one(GET_LOAN, loan_id=request.loan_id, reader_id=principal.user_id)
        if row is None:
            raise ApiError(Reason.LOAN_NOT_FOUND)
        return v1.GetLoanResponse(loan=v1.Loan(**row))


async def serve(settings: ServiceSettings) -> None:
    """Run the service until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "loans")
    rpc = LoansRpc(database, Outbox[LoansEvent](EVENTS))
    async with database:
        await serve_with_background_tasks(
            serve_rpc(settings.service_socket, [rpc], settings.build_page_token_signer(), grace_s=1),
            wait_for_stop_signal,
            [
                Relay("loans", database, broker).run(),
                serve_metrics("loans", settings.environment, settings.service_socket, database, broker),
            ],
        )


if __name__ == "__main__":
    main("loans", ServiceSettings, serve)
