"""Command line: `python -m services.titles serve|migrate`."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, bindparam, select, update

from generated.events.consumers import TitlesLoansConsumer
from generated.proto.library.events.v1 import LoanStarted
from generated.proto.library.titles import v1
from generated.proto.library.titles.v1.rpc import TitlesServicer
from services.runtime.config.settings import ServiceSettings
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import MessageMetadata
from services.runtime.messaging.outbox import Relay
from services.runtime.process.cli import main
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement

titles = Table(
    "titles",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("loans", BigInteger, nullable=False),
)
LIST_TITLES = Statement(select(titles).order_by(titles.c.id))
ADD_LOAN = Statement(update(titles).where(titles.c.id == bindparam("title_id")).values(loans=titles.c.loans + 1))


class TitlesRpc(TitlesServicer):
    """Implementation of the generated servicer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_titles(self, request: v1.ListTitlesRequest) -> v1.ListTitlesResponse:
        """Return all titles."""
        rows = await self._database.fetch_all(LIST_TITLES)
        return v1.ListTitlesResponse(items=[v1.Title(**row) for row in rows])


class LoansConsumer(TitlesLoansConsumer):
    """Counts the loans of each title."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def on_loan_started(self, event: LoanStarted, delivery: MessageMetadata) -> None:
        """Count the loan once. A title that the library does not own is ignored."""
        async with self._database.transaction() as transaction:
            if await inbox.mark_processed(transaction, self.QUEUE, delivery.event_id):
                await transaction.execute(ADD_LOAN, title_id=event.title_id)


async def serve(settings: ServiceSettings) -> None:
    """Run the service until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "titles")
    async with database:
        await serve_with_background_tasks(
            serve_rpc(settings.service_socket, [TitlesRpc(database)], settings.build_page_token_signer(), grace_s=1),
            wait_for_stop_signal,
            [
                Relay("titles", database, broker).run(),
                serve_metrics("titles", settings.environment, settings.service_socket, database, broker),
                consume(broker, LoansConsumer(database)),
            ],
        )


if __name__ == "__main__":
    main("titles", ServiceSettings, serve)
