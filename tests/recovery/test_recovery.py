"""Loss of PostgreSQL, the document store and the broker, and their recovery with the commands of the documentation."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext, open_context
from deploy.local.demo.scenarios import BASKET
from deploy.local.infrastructure.servers import POSTGRES_BIN_DIR
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.supervisor_state import read_supervisor_state
from tests.conftest import run_local
from tests.docs import steps
from tests.free_ports import find_free_ports
from tests.wait import wait_until

PAGE = ROOT / "docs/disaster-recovery.md"
pytestmark = pytest.mark.timeout(600)

AMOUNT: Any = BASKET["total_amount"]
BARMAN = ROOT / ".local/backup/bin"
RECOVERY_TIME_OBJECTIVE_S = 30 * 60
AWS_CONFIG = """\
[default]
region = us-east-1
endpoint_url = {url}
aws_access_key_id = backup
aws_secret_access_key = backup
"""


def list_commands(title: str) -> list[steps.Step]:
    """Return the commands of a section of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [step for step in steps.parse_steps(section) if step.language == "sh"]


def pay_new_order(context: ScenarioContext) -> None:
    """Place and pay an order of a new customer."""
    for scenario in (scenarios.register, scenarios.check, scenarios.confirm, scenarios.pay):
        scenario(context)


class Mesh:
    """A mesh whose stores are lost."""

    def __init__(self, config: MeshConfig, backups_url: str) -> None:
        self.config = config
        self.secrets = Secrets(config)
        home = config.ensure_subdirectory("home") / ".aws"
        home.mkdir(exist_ok=True)
        (home / "config").write_text(AWS_CONFIG.format(url=backups_url), encoding="utf-8")

    def build_environment(self) -> dict[str, str]:
        """Return the variables of the page."""
        return {
            **build_base_environment(self.config),
            "PATH": f"{POSTGRES_BIN_DIR}:{os.environ['PATH']}",
            "PGHOST": self.config.bind_address,
            "PGPORT": str(self.config.get_port("POSTGRES_PORT")),
            "PGUSER": "app",
            "PGPASSWORD": self.secrets.get_password("postgres"),
            "PGDATA": str(self.config.folder / "postgres"),
            "BARMAN": str(BARMAN),
            "BACKUPS": "s3://backups/delivery",
        }

    def query(self, database: str, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement as superuser."""
        with psycopg.connect(
            host=self.config.bind_address,
            port=self.config.get_port("POSTGRES_PORT"),
            user="app",
            password=self.secrets.get_password("postgres"),
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def send_signal(self, name: str, number: int) -> None:
        """Send a signal to the process group of a process."""
        state = read_supervisor_state(self.config)
        assert state is not None
        os.killpg(next(child.pid for child in state.children if child.name == name), number)

    def wait_until_ready(self, name: str) -> None:
        """Wait until the supervisor has restarted a process."""

        def is_ready() -> bool:
            state = read_supervisor_state(self.config)
            return state is not None and any(
                child.name == name and child.state == "ready" and child.restarts for child in state.children
            )

        wait_until(is_ready, 60, interval_s=0.1, description=f"{name} ready")

    def reconcile(self) -> str:
        """Reconcile without a quiet period, and return the output."""
        environment = {
            **build_base_environment(self.config),
            **build_service_environment(self.config, self.secrets, "orders"),
            "RECONCILE_QUIET_PERIOD_SECONDS": "0",
        }
        command = [sys.executable, "-m", "services.orders", "reconcile"]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    def count_kitchen_orders(self, order_id: str) -> int:
        """Return how many different requests with an order its partner has received."""
        path = f"{self.config.sandbox_url}/kitchen/{BASKET['partner_id']}/orders"
        received = httpx.get(path, trust_env=False).raise_for_status().json()
        return sum(each["kind"] == "order" and each["body"]["order_id"] == order_id for each in received)

    def get_captured(self, order_id: str) -> list[int]:
        """Return the amounts that the bank has captured for an order."""
        ledger = httpx.get(f"{self.config.sandbox_url}/bank/{BASKET['bank_id']}/ledger", trust_env=False).json()
        return [entry["captured"] for entry in ledger if entry["order_id"] == order_id]


@pytest.fixture(scope="module")
def backups_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an emulator of S3 with the bucket of the backups."""
    (port,) = find_free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(BARMAN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:

        def create_bucket() -> bool:
            try:
                return httpx.put(f"{url}/backups", trust_env=False).is_success
            except httpx.TransportError:
                return False

        wait_until(create_bucket, 30, interval_s=0.2, description="bucket created")
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def mesh(backups_url: str) -> Iterator[Mesh]:
    """Start a new mesh with demo data.

    Its folder is in a private one: then root starts PostgreSQL in a user namespace, whose archive command can run
    Barman, and not as a user who cannot read the installed Python.
    """
    folder = Path(os.environ["DELIVERY_STATE"])
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.parent.mkdir(mode=0o700, parents=True)
    config = MeshConfig()
    config.create_folder()
    mesh = Mesh(config, backups_url)
    try:
        run_local("up")
        yield mesh
    finally:
        run_local("down")


@pytest.fixture
def place_order(mesh: Mesh) -> Iterator[Callable[[], ScenarioContext]]:
    """Return a function that places and pays an order of a new customer."""
    with ExitStack() as stack:

        def place() -> ScenarioContext:
            context = stack.enter_context(
                open_context(mesh.config.edge_url, mesh.config.sandbox_url, Console(quiet=True))
            )
            pay_new_order(context)
            return context

        yield place


def find_lines(output: str, order_id: str) -> set[str]:
    """Return the kinds of the discrepancies of an order."""
    return {line.split()[1] for line in output.splitlines() if line.startswith(order_id)}


def test_postgres_is_restored_to_a_point_in_time(
    mesh: Mesh, place_order: Callable[[], ScenarioContext], record_property: Callable[[str, object], None]
) -> None:
    environment = mesh.build_environment()
    enable, backup = list_commands("Backup of PostgreSQL")
    steps.run_command(enable, ROOT, environment)
    run_local("down")
    run_local("up")
    first = place_order()
    assert "Backup ID" in steps.run_command(backup, ROOT, environment)
    second = place_order()
    target = datetime.now(UTC)
    wait_until(lambda: datetime.now(UTC) > target + timedelta(seconds=1))
    lost = place_order()
    [[segment]] = mesh.query("postgres", "SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(
        lambda: mesh.query("postgres", "SELECT last_archived_wal >= %s FROM pg_stat_archiver", segment) == [(True,)],
        60,
        interval_s=0.5,
        description="WAL archived",
    )
    started_at = time.monotonic()
    run_local("down")
    [restore] = list_commands("Recovery of PostgreSQL")
    steps.run_command(restore, ROOT, environment | {"TARGET_TIME": target.isoformat(sep=" ")})
    run_local("up")
    duration_s = time.monotonic() - started_at
    record_property("recovery_s", duration_s)
    print(f"recovered in {duration_s:.0f} s")
    assert duration_s < RECOVERY_TIME_OBJECTIVE_S
    assert [context.get_order()["status"] for context in (first, second)] == ["paid", "paid"]
    assert mesh.query("orders", "SELECT 1 FROM orders WHERE id = %s", lost.order_id) == []
    output = mesh.reconcile()
    assert find_lines(output, lost.order_id) == {"ORDER_MISSING", "PAYMENT_UNEXPECTED", "PAYMENT_NOT_RECORDED"}, output
    assert not find_lines(output, first.order_id) | find_lines(output, second.order_id), output
    for context in (first, second, lost):
        assert mesh.get_captured(context.order_id) == [AMOUNT]
    rows = mesh.query("orders", "SELECT sum(paid_amount) FROM orders")
    assert rows == [(2 * AMOUNT,)]
    place_order()


def test_documents_are_rebuilt_from_postgres(mesh: Mesh, place_order: Callable[[], ScenarioContext]) -> None:
    old, recent = place_order(), place_order()
    mesh.query("orders", "UPDATE orders SET reconciled_at = '9999-01-01' WHERE id = %s", old.order_id)
    run_local("down")
    shutil.rmtree(mesh.config.folder / "documents")
    run_local("up")
    assert get_history(recent) == []
    [make_due] = list_commands("Recovery of MongoDB")
    steps.run_command(make_due, ROOT, mesh.build_environment())
    output = mesh.reconcile()
    for context in (old, recent):
        assert find_lines(output, context.order_id) == {"HISTORY_MISSING", "PAYMENT_DOCUMENT_MISSING"}, output
        assert [entry["status"] for entry in get_history(context)] == ["pending", "paid"]
    wait_until(lambda: mesh.query("orders", "SELECT 1 FROM outbox LIMIT 1") == [], description="events published")
    place_order()  # its event is consumed after those that were published again
    for context in (old, recent):
        assert mesh.count_kitchen_orders(context.order_id) == 1
        assert mesh.get_captured(context.order_id) == [AMOUNT]
    assert "0 discrepancies" in mesh.reconcile()


def get_history(context: ScenarioContext) -> list[Any]:
    headers = {"authorization": f"Bearer {context.tokens['customer']}"}
    response = context.edge.get(f"/api/v1/orders/{context.order_id}/history", headers=headers).raise_for_status()
    items: list[Any] = response.json()["items"]
    return items


def test_events_are_published_again_after_the_broker_is_lost(
    mesh: Mesh, place_order: Callable[[], ScenarioContext]
) -> None:
    before = place_order()
    with open_context(mesh.config.edge_url, mesh.config.sandbox_url, Console(quiet=True)) as during:
        scenarios.register(during)
        mesh.send_signal("rabbitmq", signal.SIGSTOP)
        for scenario in (scenarios.check, scenarios.confirm):
            scenario(during)
        body = {
            "order_id": during.order_id,
            "amount": AMOUNT,
            "currency": BASKET["currency"],
            "callback_url": during.checkout["callback_url"],
            "outcome": "pay",
        }
        during.request_sandbox("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
        assert mesh.query("orders", "SELECT count(*) > 0 FROM outbox") == [(True,)]
        shutil.rmtree(mesh.config.folder / "rabbitmq/data")
        mesh.send_signal("rabbitmq", signal.SIGKILL)
        mesh.wait_until_ready("rabbitmq")
        wait_until(lambda: mesh.count_kitchen_orders(during.order_id), 60, description="the partner has the order")
        wait_until(lambda: mesh.query("orders", "SELECT 1 FROM outbox LIMIT 1") == [], description="events published")
        after = place_order()
        wait_until(
            lambda: [entry["status"] for entry in get_history(during)] == ["pending", "paid"],
            description="history written",
        )
        for context in (before, during, after):
            assert mesh.count_kitchen_orders(context.order_id) == 1
            assert mesh.get_captured(context.order_id) == [AMOUNT]
        assert "0 discrepancies" in mesh.reconcile()
