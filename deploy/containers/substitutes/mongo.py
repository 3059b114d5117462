"""Entry point of the MongoDB substitute: the part of the official image's entry point that docker-compose.yml needs."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from pymongo import MongoClient

DATA_DIR = Path("/data/db")
SCRIPTS_DIR = Path("/docker-entrypoint-initdb.d")
OPTIONS = ("mongod", f"--dbpath={DATA_DIR}", "--quiet", "--nounixsocket", "--wiredTigerCacheSizeGB=0.25")
INITIAL_PORT = 27018
"""Port of the server that creates the users; it listens on the loopback address only."""

CREATE_USER_PATTERN = re.compile(r'^db\.getSiblingDB\("(\w+)"\)\.createUser\((\{.*\})\);$', re.MULTILINE)


def create_users() -> None:
    """Create the root user, and the users of the initialisation scripts, with a server that does not check logins."""
    server = subprocess.Popen([*OPTIONS, "--bind_ip=127.0.0.1", f"--port={INITIAL_PORT}"])
    with MongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{INITIAL_PORT}") as client:
        password = os.environ["MONGO_INITDB_ROOT_PASSWORD"]
        client.admin.command("createUser", os.environ["MONGO_INITDB_ROOT_USERNAME"], pwd=password, roles=["root"])
        for path in sorted(SCRIPTS_DIR.glob("*.js")):
            for database, user in CREATE_USER_PATTERN.findall(path.read_text(encoding="utf-8")):
                options = json.loads(user)
                client[database].command("createUser", options.pop("user"), **options)
    server.terminate()
    server.wait()


if __name__ == "__main__":
    if not (DATA_DIR / "storage.bson").exists():
        create_users()
    os.execvp(OPTIONS[0], [*OPTIONS, "--auth", "--bind_ip=0.0.0.0"])  # noqa: S606 (replaces this process)
