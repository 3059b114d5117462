"""`python -m deploy.local.supervisor [--only SCOPE]`: run the supervisor, which shares its libraries with services."""

import sys
from importlib import import_module

from deploy.local.supervisor.fork_server import prepare_fork_server


def main() -> int:
    """Import the libraries, fork the fork server, and run the command `supervise`. Return the exit code."""
    import_module("deploy.local.supervisor.preloaded_libraries")
    prepare_fork_server()
    sys.argv.insert(1, "supervise")
    commands = import_module("deploy.local.__main__")  # imports modules of the project
    code: int = commands.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
