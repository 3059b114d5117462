"""Envoy with a direct response of one page: `python -m bench.baselines.envoy_direct_response PORT`."""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.paths import STATE_DIR
from bench.stub_backends import encode_catalog_page
from generated.proto.delivery.partners.v1 import ListCatalogResponse
from generated.rest.delivery import pages
from services.runtime.rpc.codec import get_codec


def build_bootstrap(port: int) -> dict[str, Any]:
    """Return the bootstrap configuration, which contains the page."""
    page = msgspec.json.encode(get_codec().decode_with(ListCatalogResponse, encode_catalog_page(), pages.catalog_page))
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_bytes": base64.b64encode(page).decode()}},
    }
    extensions = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "direct",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{extensions}.http.router.v3.Router"}}],
        "route_config": {
            "max_direct_response_body_size_bytes": len(page),
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


if __name__ == "__main__":
    configuration = STATE_DIR / "direct.json"
    configuration.write_text(json.dumps(build_bootstrap(int(sys.argv[1]))), encoding="utf-8")
    envoy = Path(sys.executable).with_name("envoy")
    flags = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warn")
    os.execv(envoy, [str(envoy), "-c", str(configuration), *flags])  # noqa: S606 (replaces this process)
