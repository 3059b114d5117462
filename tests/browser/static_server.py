"""Server of static files under another origin than the API."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class SilentHandler(SimpleHTTPRequestHandler):
    """Static file handler without logging."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running_static_server(folder: Path, port: int) -> Iterator[str]:
    """Serve a folder under another origin. Yields the origin."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(SilentHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
