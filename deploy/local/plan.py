"""What runs, in which order: each stage starts when all of the one before is ready."""

from collections.abc import Sequence

from deploy.local import callers, envoys, servers, services
from deploy.local.pki import Authority
from deploy.local.process import Process
from deploy.local.secrets import Secrets
from deploy.local.state import State
from deploy.local.traces import traces


def stages(state: State, secrets: Secrets, extent: str) -> Sequence[Sequence[Process]]:
    """`extent` is "all", or "servers" for what services stand on and nothing of ours."""
    stand = [
        servers.rabbitmq(state, secrets),
        servers.postgres(state, secrets),
        servers.memcached(state),
        servers.documents(state),
        servers.storage(state),
        services.sandbox(state, secrets),
    ]
    if extent == "servers":
        return [stand]
    authority = Authority(state.sub("pki"))
    authority.ensure()
    apps = [services.service(state, secrets, name) for name in servers.SERVICES]
    sidecars = [envoys.sidecar(state, name) for name in [*authority.sidecars, *callers.joined(state, authority)]]
    return [[*stand, traces(state)], [*apps, *sidecars]]
