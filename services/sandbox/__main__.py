"""Command line: `python -m services.sandbox serve`."""

import argparse
import logging
import sys

import uvicorn

from services.runtime.config.settings import load_settings
from services.runtime.sidecar.uvicorn_server import EventServer
from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="services.sandbox", description="Emulators of third parties.")
    parser.add_argument("command", choices=["serve"])
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for logger_name in ("httpx", "hypercorn.error", "mail.log", "uvicorn.error"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)
    settings = load_settings(SandboxSettings)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.bind,
        port=settings.sandbox_port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=3,
    )
    server = EventServer(config)
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
