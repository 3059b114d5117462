"""Fork server of `multiprocessing` as a fork of the supervisor, so that both share the memory of the libraries.

By default, `multiprocessing` starts it as another program, which imports the libraries once more.
"""

import os
import socket
import sys
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker, util
from typing import Any, NoReturn

from setproctitle import setproctitle


def prepare_fork_server() -> None:
    """Fork the process that becomes the fork server when the first process is forked.

    This process has imported the libraries. It has no threads and no modules of the project, whose code would be that
    of later processes. If the fork server ends, `multiprocessing` starts another one as a program.
    """
    parent, child = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        parent.close()
        _run_server(child)
    child.close()
    resource_tracker.ensure_running()  # a program as well
    start_program = util.spawnv_passfds

    def start_server(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
        util.spawnv_passfds = start_program
        try:
            with parent:
                socket.send_fds(parent, [b"\0"], [*passfds])
        except BrokenPipeError:  # the fork was killed
            return start_program(path, args, passfds)
        return pid

    util.spawnv_passfds = start_server


def _run_server(connection: socket.socket) -> NoReturn:
    """Wait for the socket and the pipe of the fork server, run it and exit."""
    setproctitle("deploy.local fork server")
    with connection:
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
    if descriptors:  # otherwise the supervisor has ended
        listener, alive = descriptors
        forkserver.main(listener, alive, preload=[])
    sys.exit()
