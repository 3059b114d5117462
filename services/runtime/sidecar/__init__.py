"""Connection of a process to its sidecar: unix sockets, and unary RPCs over HTTP/1.1."""
