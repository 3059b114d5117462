"""`python -m deploy.drain NAME`: asks a sidecar's clients to go elsewhere, and waits until they have.

For the end of a pod: an orchestrator says that it goes and stops it at the same time, and until all have heard, others
still call it.
"""

import sys
import time
from os import environ

import httpx

from deploy.render_bootstrap import default_value, load_placeholders


def start_draining(admin: httpx.Client) -> None:
    """Probes fail from now on, and answers say that the connection closes. Raises httpx.HTTPError."""
    for path in ("/healthcheck/fail", "/drain_listeners?graceful&skip_exit"):
        admin.post(path).raise_for_status()


def main() -> None:
    """The sidecar is in the same network namespace; DRAIN_WAIT_S is how long to wait, in seconds."""
    variable = f"{sys.argv[1].upper()}_ADMIN_PORT"
    port = environ.get(variable) or default_value(load_placeholders()[variable], "production")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=2) as admin:
        start_draining(admin)
    time.sleep(float(environ.get("DRAIN_WAIT_S", "10")))


if __name__ == "__main__":
    main()
