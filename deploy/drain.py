"""`python -m deploy.drain NAME`: drain a sidecar's connections and wait, as a preStop hook of a pod.

Kubernetes removes a terminating pod from its endpoints and stops it at the same time, so clients still send requests to
it until the change has propagated.
"""

import sys
import time
from os import environ

import httpx

from deploy.render_bootstrap import get_default_value, load_placeholders

DEFAULT_WAIT_S = 10
"""Seconds until other pods and load balancers have stopped using the pod."""


def start_draining(admin: httpx.Client) -> None:
    """Fail Envoy's health checks and drain its listeners, so that clients close their connections.

    Raises httpx.HTTPError.
    """
    for path in ("/healthcheck/fail", "/drain_listeners?graceful&skip_exit"):
        admin.post(path).raise_for_status()


def main() -> None:
    """Drain the sidecar of this network namespace, then wait DRAIN_WAIT_S seconds."""
    variable = f"{sys.argv[1].upper()}_ADMIN_PORT"
    port = environ.get(variable) or get_default_value(load_placeholders()[variable], "production")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=2) as admin:
        start_draining(admin)
    time.sleep(float(environ.get("DRAIN_WAIT_S", DEFAULT_WAIT_S)))


if __name__ == "__main__":
    main()
