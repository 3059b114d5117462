"""Counters of messages in RabbitMQ, and of RPCs and HTTP requests of the mesh."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.mesh import Mesh
from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import SERVICES
from deploy.local.status import metrics_reader

RABBITMQCTL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
TIMEOUT_S = 30

_BROKER_COUNTERS = (
    "[{K, V} || {_, M} <- maps:to_list(rabbit_global_counters:overview()), {K, V} <- maps:to_list(M),"
    " K == messages_received_total orelse K == messages_delivered_total]."
)
_ERLANG_PAIR = re.compile(r"\{(\w+),\s*(\d+)\}")
_ENVOY_STAT = re.compile(r"^([\w.]+): (\d+)$", re.MULTILINE)
_EDGE_STAT = "http.edge.downstream_rq_total"
_ENVOY_FILTER = rf"^(http\.edge\.downstream_rq_total|cluster\.({'|'.join(SERVICES)})\.upstream_rq_total)$"
_HTTP_CLIENT_METRIC = "http_client_request_duration_seconds_count"


def count_messages(mesh: Mesh) -> dict[str, int]:
    """Return the numbers of messages that the broker has received and delivered since its start.

    The counters are the broker's global counters, which need no plugin. Raises CalledProcessError.
    """
    home = mesh.config.folder / "rabbitmq"
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(shutil.which('erl') or '/usr/bin/erl').parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(mesh.config.get_port("EPMD_PORT")),
        "RABBITMQ_CONF_ENV_FILE": str(home / "env.conf"),
    }
    node = f"delivery-{mesh.config.get_port('RABBITMQ_PORT')}@localhost"
    completed = subprocess.run(
        [str(RABBITMQCTL), "--quiet", "--node", node, "eval", _BROKER_COUNTERS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )
    return parse_broker_counters(completed.stdout)


def parse_broker_counters(text: str) -> dict[str, int]:
    """Return the messages received and delivered from the output of rabbitmqctl, summed over protocols and types."""
    totals = {"messages_received_total": 0, "messages_delivered_total": 0}
    for name, value in _ERLANG_PAIR.findall(text):
        totals[name] += int(value)
    return {
        "AMQP messages published": totals["messages_received_total"],
        "AMQP messages delivered": totals["messages_delivered_total"],
    }


def count_calls(mesh: Mesh) -> Mapping[str, int]:
    """Return the HTTP requests at the edge, the RPCs between services and the HTTP requests to third parties.

    Health checks of Envoy are not requests of a cluster, so they do not count.
    """
    edge = rpcs = 0
    for name in SERVICES:
        with envoys.open_admin_client(mesh.config, name) as client:
            text = client.get("/stats", params={"filter": _ENVOY_FILTER})
        for stat, value in _ENVOY_STAT.findall(text.raise_for_status().text):
            if stat == _EDGE_STAT:
                edge += int(value)
            else:
                rpcs += int(value)
    samples = metrics_reader.read_metrics(mesh.config).samples
    third_parties = sum(sample.value for sample in samples if sample.name == _HTTP_CLIENT_METRIC)
    return {"HTTP requests at the edge": edge, "RPCs": rpcs, "HTTP requests to third parties": round(third_parties)}
