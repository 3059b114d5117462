"""A mesh of three real Envoys (gateway, orders, ops) with toy apps behind them that echo what reaches them."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.envoys import build_settings, issue_certificates, running_envoy

PROJECT_ID = "delivery-local"
SIGNING_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HEALTH_CHECK_METHOD = "/grpc.health.v1.Health/Check"
SERVING_RESPONSE = b"\x08\x01"
TIMEOUT_S = 10.0


def create_token(key: rsa.RSAPrivateKey = SIGNING_KEY, **changes: Any) -> str:
    """A customer's token, but for the changes."""
    now = int(time.time())
    issuer = f"https://securetoken.google.com/{PROJECT_ID}"
    claims = {"iss": issuer, "aud": PROJECT_ID, "sub": "ada", "role": "customer", "iat": now, "exp": now + 600}
    return jwt.encode(claims | changes, key, "RS256", headers={"kid": "one"})


def build_bearer_headers(*args: Any, **changes: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {create_token(*args, **changes)}"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and says in its own which headers it was given."""
    while (await receive()).get("more_body"):
        pass
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(headers).encode()})


class EchoRpc(grpc.GenericRpcHandler):
    """Answers every method with the metadata it was given, and health with SERVING."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of one call."""
        metadata = {str(key): str(value) for key, value in handler_call_details.invocation_metadata}
        body = SERVING_RESPONSE if handler_call_details.method == HEALTH_CHECK_METHOD else json.dumps(metadata).encode()
        return grpc.unary_unary_rpc_method_handler(lambda request, context: body)


class JwksHandler(BaseHTTPRequestHandler):
    """Publishes the public key."""

    def do_GET(self) -> None:
        key = RSAAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True) | {"kid": "one", "alg": "RS256", "use": "sig"}
        body = json.dumps({"keys": [key]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Says nothing."""


@contextmanager
def running_jwks_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), JwksHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def running_echo_server(path: Path) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(echo, uds=str(path), lifespan="off", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, "the toy gateway starts")
    yield
    server.should_exit = True
    thread.join()


@contextmanager
def running_rpc_server(path: Path) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[EchoRpc()])
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield
    server.stop(0).wait()


def wait_until(condition: Any, description: str) -> None:
    """Waits until the condition holds. Raises AssertionError."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {description}"
        time.sleep(0.02)


@dataclass(frozen=True)
class MeshClient:
    """Where things are."""

    folder: Path
    settings: dict[str, str]

    def get_url(self, setting: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.settings[setting]}"

    def create_ssl_context(self) -> ssl.SSLContext:
        """Trusts our CA and no other, as strictly as Python does by default."""
        return ssl.create_default_context(cafile=str(self.folder / "pki/ca.pem"))

    def call_rpc(self, path: str, authority: str, target: str, **metadata: str) -> Any:
        """One call without a message, by a channel to `target`; the metadata that the app was given, or its bytes."""
        options = [("grpc.default_authority", authority), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(target, options) as channel:
            method: Any = channel.unary_unary(path, None, None)
            return method(b"", timeout=5, metadata=tuple(metadata.items()))

    def call_egress(self, path: str, authority: str = "orders", **metadata: str) -> Any:
        """As the gateway's app calls others."""
        return self.call_rpc(path, authority, f"unix:{self.folder}/run/gateway-egress.sock", **metadata)

    def call_ops(self, path: str, authority: str = "orders", **metadata: str) -> Any:
        """As people on the machine call."""
        return self.call_rpc(path, authority, f"127.0.0.1:{self.settings['OPS_PORT']}", **metadata)

    def call_ingress(
        self, path: str, certificate: str | None, folder: Path | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Straight to the ingress of orders, with a certificate of one's choice; the answer's headers and body."""
        context = self.create_ssl_context()
        context.check_hostname = False  # the name in it is a SPIFFE id
        if certificate:
            held = folder or self.folder / "pki"
            context.load_cert_chain(held / f"{certificate}.pem", held / f"{certificate}.key")
        sent = {"content-type": "application/grpc", "te": "trailers", **(headers or {})}
        with httpx.Client(http1=False, http2=True, verify=context, trust_env=False) as client:
            return client.post(self.get_url("ORDERS_INGRESS_PORT", "https") + path, headers=sent, content=b"\0" * 5)


def is_healthy(client: MeshClient) -> bool:
    """Whether both callers of orders have seen that it is healthy."""
    for name in ("GATEWAY", "OPS"):
        text = httpx.get(client.get_url(f"{name}_ADMIN_PORT") + "/clusters", trust_env=False).text
        if f"orders::127.0.0.1:{client.settings['ORDERS_INGRESS_PORT']}::health_flags::healthy" not in text:
            return False
    return True


@contextmanager
def running_test_mesh(folder: Path) -> Iterator[MeshClient]:
    """Starts everything, and hands it over once orders is healthy in the eyes of its callers."""
    issue_certificates(folder, stranger="spiffe://delivery.local/stranger")
    with ExitStack() as stack:
        keys = stack.enter_context(running_jwks_server())
        values = build_settings(folder, JWKS_PORT=str(keys), FIREBASE_PROJECT_ID=PROJECT_ID)
        run = Path(values["RUN_DIR"])
        stack.enter_context(running_echo_server(run / "gateway.sock"))
        for name in ("orders", "gateway-health"):
            stack.enter_context(running_rpc_server(run / f"{name}.sock"))
        for name in ("orders", "gateway", "ops"):
            stack.enter_context(running_envoy(folder, name, values))
        made = MeshClient(folder, values)
        wait_until(lambda: is_healthy(made), "orders is healthy at the gateway and at ops")
        yield made
