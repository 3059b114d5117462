"""Start-up stages; a stage starts when all processes of the previous stage are ready."""

from collections.abc import Sequence

from deploy.local.infrastructure import envoys, memcached, mongodb, servers, services
from deploy.local.infrastructure.trace_viewer import define_trace_viewer
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki import external_callers
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec


def define_stages(config: MeshConfig, secrets: Secrets, scope: str) -> Sequence[Sequence[ProcessSpec]]:
    """Return the stages of a scope: "all", or "servers" for the servers and the sandbox only."""
    dependencies = [
        servers.define_rabbitmq(config, secrets),
        servers.define_postgres(config, secrets),
        memcached.define_memcached(config, secrets),
        *([mongodb.define_mongodb(config, secrets)] if mongodb.is_needed(config) else []),
        servers.define_object_storage(config),
        services.define_sandbox(config, secrets),
    ]
    if scope == "servers":
        return [dependencies]
    authority = CertificateAuthority(config.ensure_subdirectory("pki"))
    authority.ensure_certificates()
    apps = [services.define_service(config, secrets, name) for name in SERVICES]
    sidecars = [
        envoys.define_sidecar(config, name)
        for name in [*authority.sidecars, *external_callers.list_enrolled_callers(config, authority)]
    ]
    return [[*dependencies, define_trace_viewer(config)], [*apps, *sidecars]]
