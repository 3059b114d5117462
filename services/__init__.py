"""The four services, their shared library (`runtime`) and local emulators of third parties (`sandbox`)."""

import os

# The C core of gRPC reads the variable when it is imported. It writes to standard error, past the JSON log records; its
# errors are statuses of RPCs as well.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
