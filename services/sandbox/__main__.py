"""`python -m services.sandbox serve`."""

import argparse
import logging

import uvicorn

from services.runtime.config.settings import load_settings
from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="services.sandbox", description="The third parties, played locally.")
    parser.add_argument("command", choices=["serve"])
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "mail.log", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    told = load_settings(SandboxSettings)
    uvicorn.run(
        create_app(told),
        host=told.bind,
        port=told.sandbox_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
