"""Process specification of Memcached with a user for the gateway."""

import os
from contextlib import closing

from deploy.local.infrastructure.servers import choose_unprivileged_user
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets, write_private
from deploy.local.supervisor.process import ProcessSpec
from services.runtime.storage.memcached import MemcachedServer, create_client

USER = "gateway"
TIMEOUT_S = 1.0


def build_memcached_server(config: MeshConfig, secrets: Secrets) -> MemcachedServer:
    """Return the addresses of all nodes and the credentials of the gateway."""
    return MemcachedServer(",".join(config.list_addresses("MEMCACHED_PORT")), USER, secrets.get_password("memcached"))


def define_memcached(config: MeshConfig, secrets: Secrets) -> ProcessSpec:
    """Define Memcached, which requires authentication. It does not run as root and reads the file of its users."""
    port, users = config.get_port("MEMCACHED_PORT"), config.folder / "memcached.users"
    prefix, user = choose_unprivileged_user(config.folder)
    server = build_memcached_server(config, secrets)

    def prepare() -> None:
        write_private(users, f"{server.username}:{server.password}\n")
        if user is not None:
            os.chown(users, user, user)

    def is_ready() -> bool:
        node = server._replace(address=f"{config.bind_address}:{port}")
        with closing(create_client(node, timeout_s=TIMEOUT_S, max_connections=1)) as client:
            return bool(client.version())

    options = ["-l", config.bind_address, "-p", str(port), "-m", "64", "-Y", str(users)]
    return ProcessSpec(
        name="memcached",
        command=[*prefix, "memcached", *options],
        environment={},
        is_ready=is_ready,
        port_variables=["MEMCACHED_PORT"],
        user=user,
        before_start=prepare,
    )
