"""Command line: `python -m services.sandbox serve`."""

import argparse
import logging

import uvicorn

from services.runtime.config.settings import load_settings
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
    uvicorn.run(
        create_app(settings),
        host=settings.bind,
        port=settings.sandbox_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
