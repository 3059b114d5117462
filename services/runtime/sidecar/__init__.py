"""Connection of a process to its sidecar: unix sockets, ASGI servers, and unary RPCs over HTTP/1.1."""
