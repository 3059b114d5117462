"""Settings of the services for the data services in the cluster: URLs, passwords and the CA certificate.

The URLs contain no password: Kubernetes inserts those of the Secrets.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from codegen.envoy.common import Config
from codegen.kubernetes.data_services import memcached, mongodb, postgresql, rabbitmq
from codegen.kubernetes.data_services.common import Clients, build_secret_name
from codegen.kubernetes.data_services.policies import CLIENT_PORTS
from codegen.mesh import PLACEHOLDER

CA_VOLUME = "data-services-ca"
CA_FOLDER = "/run/ca"
CA_FILE = f"{CA_FOLDER}/ca.crt"
MEMCACHED_SECRET = memcached.USERS_SECRET


def build_url(service: str, engine: str, hosts: str, path: str, query: str) -> str:
    """Return the URL of a service's account, with a reference to the variable of its password."""
    scheme = {"postgresql": "postgresql", "rabbitmq": "amqps", "mongodb": "mongodb"}[engine]
    return f"{scheme}://{service}:$({engine.upper()}_PASSWORD)@{hosts}/{path}?{query}"


def build_password_variable(name: str, secret_name: str) -> Config:
    """Return an environment variable with the password of a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": "password"}}}


def build_environment(service: str, engines: Sequence[str]) -> list[Config]:
    """Return the environment variables of a service, which have precedence over its ConfigMap and its Secret."""
    ssl_options = quote(str({"cafile": CA_FILE}), safe="")
    urls = {
        "postgresql": (
            "DATABASE_URL",
            f"{postgresql.NAME}-rw:{CLIENT_PORTS['postgresql']}",
            service,
            f"sslmode=verify-full&sslrootcert={CA_FILE}",
        ),
        "rabbitmq": (
            "BROKER_URL",
            f"{rabbitmq.NAME}:{CLIENT_PORTS['rabbitmq']}",
            PLACEHOLDER,
            f"ssl_options={ssl_options}",
        ),
        "mongodb": (
            "DOCUMENTS_URL",
            ",".join(mongodb.list_hosts()),
            service,
            f"replicaSet={mongodb.NAME}&tls=true&tlsCAFile={CA_FILE}",
        ),
    }
    variables: list[Config] = []
    for engine, (variable, hosts, path, query) in urls.items():
        if engine in engines:
            secret_name = build_secret_name(service, engine)
            variables.append(build_password_variable(f"{engine.upper()}_PASSWORD", secret_name))
            variables.append({"name": variable, "value": build_url(service, engine, hosts, path, query)})
    if memcached.ENGINE in engines:
        values = {"CACHE_ADDRESS": ",".join(memcached.list_hosts()), "CACHE_CA_FILE": CA_FILE}
        values["CACHE_USERNAME"] = service
        variables.append(build_password_variable("CACHE_PASSWORD", MEMCACHED_SECRET))
        variables += [{"name": name, "value": value} for name, value in values.items()]
    return variables


def build_patch(service: str, engines: Sequence[str]) -> list[Config]:
    """Return the JSON patch of the pods of a service: environment variables and the CA certificate of the servers."""
    secret = {"secretName": f"{postgresql.ENGINE}-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    values: list[tuple[str, Any]] = [
        *(("containers/0/env", variable) for variable in build_environment(service, engines)),
        ("containers/0/volumeMounts", {"name": CA_VOLUME, "mountPath": CA_FOLDER, "readOnly": True}),
        ("volumes", {"name": CA_VOLUME, "secret": secret}),
    ]
    return [{"op": "add", "path": f"/spec/template/spec/{path}/-", "value": value} for path, value in values]


def build_patches(services: Sequence[str], clients: Clients) -> dict[str, list[Config]]:
    """Return the patch of each service."""
    return {
        service: build_patch(service, [engine for engine, names in clients.items() if service in names])
        for service in services
    }


def build_patch_references(services: Sequence[str]) -> list[Config]:
    """Return the patches of a kustomization: each changes the Deployment of a service and the Job of its migrations."""
    return [
        {"path": f"{service}.yaml", "target": {"kind": "Deployment|Job", "name": f"{service}|{service}-migrate"}}
        for service in services
    ]
