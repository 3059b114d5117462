"""Ports for servers of a test.

They are below the range from which the kernel takes the ports of outgoing connections, which would otherwise occupy a
port between its choice and its use, and above the ports of the tests' meshes.
"""

import random
import socket

PORTS = range(20_500, 24_000)


def find_free_ports(count: int) -> list[int]:
    """Return different unused ports of the loopback address, which no other process of the tests chooses, either.

    Raises ValueError if there are not enough.
    """
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(ports) == count:
            return ports
        if is_free(port) and _reserve(port):
            ports.append(port)
    raise ValueError(f"fewer than {count} ports are free")


def find_free_port() -> int:
    """Return an unused port of the loopback address."""
    return find_free_ports(1)[0]


def is_free(port: int) -> bool:
    """Return whether a server can bind a port of the loopback address."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _reserve(port: int) -> bool:
    """Return whether no running process of the tests has chosen the port, which may be unused at the moment.

    An abstract Unix socket with the port in its name is the reservation. It is open until this process exits.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0test-port-{port}")
    except OSError:
        reservation.close()
        return False
    reservation.detach()
    return True
