"""Admin interface of an Envoy.

In production it listens on the loopback address only. In development it listens on a unix socket, and a listener on its
port forwards to it the requests that do not come from pages of other sites: any web page can send requests to a port of
the developer's machine, also with the name of another host that resolves to it (DNS rebinding).
"""

from codegen.envoy.common import (
    Config,
    Profile,
    build_cluster,
    build_http_connection_manager,
    build_listener,
    build_private_socket,
    build_tcp_address,
    format_placeholder,
)

LOCAL_HOSTS = r"(localhost|127\.0\.0\.1|\[::1\]|${ADMIN_BIND})"
LOOPBACK = "127.0.0.1"


def build_admin_address(service: str, profile: Profile) -> Config:
    """Return the address of the admin interface."""
    if profile.is_development:
        return build_private_socket(f"{service}-admin")
    return build_tcp_address(LOOPBACK, format_placeholder(service, "ADMIN_PORT"))


def build_admin_cluster(service: str, profile: Profile) -> Config:
    """Return the cluster of the admin interface."""
    return build_cluster("admin", build_admin_address(service, profile))


def build_admin_listeners(service: str, profile: Profile) -> list[Config]:
    """Return the listener of the port in development. It stays open while inbound listeners drain."""
    if not profile.is_development:
        return []
    port = format_placeholder(service, "ADMIN_PORT")
    origin = f"(http://{LOCAL_HOSTS}:{port})?"
    matchers = {":authority": f"{LOCAL_HOSTS}(:[0-9]+)?", "sec-fetch-site": "(none|same-origin)?", "origin": origin}
    headers = [
        {"name": name, "string_match": {"safe_regex": {"regex": regex}}, "treat_missing_header_as_empty": True}
        for name, regex in matchers.items()
    ]
    denied = {"status": 403, "body": {"inline_string": "requests of other sites and for other hosts are denied\n"}}
    routes = [
        {"name": "admin", "match": {"prefix": "/", "headers": headers}, "route": {"cluster": "admin", "timeout": "5s"}},
        {"name": "foreign", "match": {"prefix": "/"}, "direct_response": denied},
    ]
    manager = build_http_connection_manager(
        "admin", [], {"virtual_hosts": [{"name": "admin", "domains": ["*"], "routes": routes}]}
    )
    address = build_tcp_address("${ADMIN_BIND}", port)
    return [build_listener("admin", address, manager, drain_type="MODIFY_ONLY", bypass_overload_manager=True)]
