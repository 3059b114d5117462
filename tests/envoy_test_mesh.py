"""Test mesh of three real Envoys (gateway, orders, ops) in front of echo servers."""

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from services.runtime.sidecar.grpc_messages import CONTENT_TYPE, encode_frame
from services.runtime.sidecar.unix_sockets import get_unary_socket_path
from tests.envoys import build_settings, issue_certificates, running_envoy
from tests.wait import wait_until

PROJECT_ID = "delivery-local"
SIGNING_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY_ID = "one"
HEALTH_CHECK_METHOD = "/grpc.health.v1.Health/Check"
SERVING_RESPONSE = b"\x08\x01"
TIMEOUT_S = 10.0


def create_token(key: rsa.RSAPrivateKey = SIGNING_KEY, key_id: str = KEY_ID, **changes: Any) -> str:
    """Return a customer's token with changed claims."""
    now = int(time.time())
    issuer = f"https://securetoken.google.com/{PROJECT_ID}"
    claims = {"iss": issuer, "aud": PROJECT_ID, "sub": "ada", "role": "customer", "iat": now, "exp": now + 600}
    return jwt.encode(claims | changes, key, "RS256", headers={"kid": key_id})


def build_bearer_headers(*args: Any, **changes: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {create_token(*args, **changes)}"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """ASGI application that reads the request and responds with its headers and path as JSON and with an ETag."""
    while (await receive()).get("more_body"):
        pass
    headers = {name.decode(): value.decode() for name, value in scope["headers"]} | {":path": scope["path"]}
    response_headers = [(b"content-type", b"application/json"), (b"etag", b'"1"')]
    await send({"type": "http.response.start", "status": 200, "headers": response_headers})
    await send({"type": "http.response.body", "body": json.dumps(headers).encode()})


async def echo_rpc(scope: Any, receive: Any, send: Any) -> None:
    """ASGI application that responds to unary calls as EchoRpc."""
    while (await receive()).get("more_body"):
        pass
    metadata = {name.decode(): value.decode() for name, value in scope["headers"]}
    response_headers = [(b"content-type", CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": response_headers})
    message = SERVING_RESPONSE if scope["path"] == HEALTH_CHECK_METHOD else json.dumps(metadata).encode()
    await send({"type": "http.response.body", "body": encode_frame(message)})


class EchoRpc(grpc.GenericRpcHandler):
    """gRPC handler that responds to every method with its metadata as JSON, and to health checks with SERVING."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call."""
        metadata = {str(key): str(value) for key, value in handler_call_details.invocation_metadata}
        body = SERVING_RESPONSE if handler_call_details.method == HEALTH_CHECK_METHOD else json.dumps(metadata).encode()
        return grpc.unary_unary_rpc_method_handler(lambda request, context: body)


class JwksHandler(BaseHTTPRequestHandler):
    """JWKS endpoint."""

    def __init__(self, keys: Mapping[str, rsa.RSAPrivateKey], *args: Any) -> None:
        self._keys = keys
        super().__init__(*args)

    def do_GET(self) -> None:
        keys = [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": key_id, "alg": "RS256", "use": "sig"}
            for key_id, key in self._keys.items()
        ]
        body = json.dumps({"keys": keys}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (parameter of the base class)
        """Log nothing."""


@contextmanager
def running_jwks_server(keys: Mapping[str, rsa.RSAPrivateKey] | None = None) -> Iterator[int]:
    """Serve the public keys by key id, by default that of SIGNING_KEY; later changes of the mapping take effect."""
    handler = partial(JwksHandler, {KEY_ID: SIGNING_KEY} if keys is None else keys)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running_echo_server(path: Path, app: Any = echo) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, uds=str(path), lifespan="off", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, TIMEOUT_S, description="echo server started")
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def running_rpc_server(path: Path) -> Iterator[None]:
    """Run the servers of a service: gRPC, and HTTP/1.1 for unary methods."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[EchoRpc()])
    server.add_insecure_port(f"unix:{path}")
    server.start()
    with running_echo_server(get_unary_socket_path(path), echo_rpc):
        yield
    server.stop(0).wait()


@dataclass(frozen=True)
class MeshClient:
    """Client of the test mesh."""

    folder: Path
    settings: dict[str, str]

    def get_url(self, setting: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.settings[setting]}"

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts only the CA of the test mesh."""
        return ssl.create_default_context(cafile=str(self.folder / "pki/ca.pem"))

    def call_rpc(self, path: str, authority: str, target: str, **metadata: str) -> Any:
        """Call a method with an empty message and return the encoded response."""
        options = [("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(target, options) as channel:
            method: Any = channel.unary_unary(path, None, None)
            return method(b"", timeout=5, metadata=tuple(metadata.items()))

    def call_egress(self, path: str, authority: str = "orders", **metadata: str) -> Any:
        """Call through the egress of the gateway's sidecar."""
        return self.call_rpc(path, authority, f"unix:{self.folder}/run/gateway-egress.sock", **metadata)

    def call_ops(self, path: str, authority: str = "orders", **metadata: str) -> Any:
        """Call through the operators' endpoint."""
        return self.call_rpc(path, authority, f"127.0.0.1:{self.settings['OPS_PORT']}", **metadata)

    def call_ingress(
        self, path: str, certificate: str | None, folder: Path | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Call the ingress of orders directly, with a client certificate or without one."""
        context = self.create_ssl_context()
        context.check_hostname = False  # the certificate contains a SPIFFE id instead of a host name
        if certificate:
            pki_dir = folder or self.folder / "pki"
            context.load_cert_chain(pki_dir / f"{certificate}.pem", pki_dir / f"{certificate}.key")
        grpc_headers = {"content-type": "application/grpc", "te": "trailers", **(headers or {})}
        url = self.get_url("ORDERS_INGRESS_PORT", "https") + path
        with httpx.Client(http1=False, http2=True, verify=context, trust_env=False) as client:
            return client.post(url, headers=grpc_headers, content=b"\0" * 5)


def is_healthy(client: MeshClient) -> bool:
    """Return whether orders is healthy according to the health checks of both its callers."""
    for name in ("GATEWAY", "OPS"):
        text = httpx.get(client.get_url(f"{name}_ADMIN_PORT") + "/clusters", trust_env=False).text
        if f"orders::127.0.0.1:{client.settings['ORDERS_INGRESS_PORT']}::health_flags::healthy" not in text:
            return False
    return True


@contextmanager
def running_test_edge(
    folder: Path,
    app: Any = echo,
    replacements: Mapping[str, str] | None = None,
    keys: Mapping[str, rsa.RSAPrivateKey] | None = None,
    **overrides: str,
) -> Iterator[MeshClient]:
    """Run only the gateway's Envoy in front of an application, and yield its client.

    `overrides` are changed settings, and `replacements` those of texts of the bootstrap. `keys` are those of
    `running_jwks_server`.
    """
    issue_certificates(folder)
    with ExitStack() as stack:
        jwks_port = stack.enter_context(running_jwks_server(keys))
        settings = build_settings(folder, JWKS_PORT=str(jwks_port), FIREBASE_PROJECT_ID=PROJECT_ID, **overrides)
        stack.enter_context(running_echo_server(Path(settings["RUN_DIR"]) / "gateway.sock", app))
        stack.enter_context(running_envoy(folder, "gateway", settings, replacements))
        yield MeshClient(folder, settings)


@contextmanager
def running_test_ingress(folder: Path) -> Iterator[MeshClient]:
    """Run only the Envoy of orders in front of an echo server, and yield its client."""
    issue_certificates(folder)
    with ExitStack() as stack:
        jwks_port = stack.enter_context(running_jwks_server())
        settings = build_settings(folder, JWKS_PORT=str(jwks_port), FIREBASE_PROJECT_ID=PROJECT_ID)
        stack.enter_context(running_rpc_server(Path(settings["RUN_DIR"]) / "orders.sock"))
        stack.enter_context(running_envoy(folder, "orders", settings))
        yield MeshClient(folder, settings)


@contextmanager
def running_test_mesh(folder: Path, replacements: Mapping[str, str] | None = None) -> Iterator[MeshClient]:
    """Run the test mesh, and yield its client as soon as orders is healthy.

    `replacements` are changed texts of the bootstraps.
    """
    issue_certificates(folder, unknown="spiffe://delivery.local/unknown")
    with ExitStack() as stack:
        jwks_port = stack.enter_context(running_jwks_server())
        settings = build_settings(folder, JWKS_PORT=str(jwks_port), FIREBASE_PROJECT_ID=PROJECT_ID)
        socket_dir = Path(settings["RUN_DIR"])
        stack.enter_context(running_echo_server(socket_dir / "gateway.sock"))
        for name in ("orders", "gateway-health"):
            stack.enter_context(running_rpc_server(socket_dir / f"{name}.sock"))
        for name in ("orders", "gateway", "ops"):
            stack.enter_context(running_envoy(folder, name, settings, replacements))
        client = MeshClient(folder, settings)
        wait_until(lambda: is_healthy(client), TIMEOUT_S, description="orders healthy for gateway and ops")
        yield client
