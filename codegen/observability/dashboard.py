"""One Grafana dashboard: from the edge inwards, a row per part of the mesh, operations by the tags of the contract."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.observability.alerts import BREAKERS, EDGE
from codegen.observability.names import (
    CODE,
    FAULTS,
    PROCESSED,
    PUBLISHED,
    REQUESTS,
    SERVED,
    STATUS,
    methods,
    quantile,
    queues,
    ratio,
)
from codegen.operations import operations

SOURCE = {"type": "prometheus", "uid": "${source}"}
OVER = "$__rate_interval"
COLUMNS, HEIGHT = 24, 8


def panel(title: str, unit: str, **series: str) -> Config:
    """A graph. Each series is its legend (with `_` for a blank) and its expression."""
    return {
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend.replace("_", " ")}
            for index, (legend, expr) in enumerate(series.items())
        ],
    }


def by(label: str, title: str, unit: str, expr: str) -> Config:
    """A graph with a line per value of a label, or per pair of them."""
    made = panel(title, unit, line=expr)
    made["targets"][0]["legendFormat"] = " ".join(f"{{{{{each}}}}}" for each in label.split(", "))
    return made


def narrowed(metric: str, label: str, names: list[str], more: str = "") -> str:
    """The metric for some names only."""
    return f'{metric}{{{label}=~"{"|".join(names)}"{more}}}'


def red(metric: str, label: str, names: list[str], bad: str) -> Iterator[Config]:
    """Rate, errors, duration."""
    count, bucket = (narrowed(metric + part, label, names) for part in ("_count", "_bucket"))
    wrong = narrowed(metric + "_count", label, names, f", {bad}")
    yield by(label, "Rate", "reqps", f"sum by ({label}) (rate({count}[{OVER}]))")
    errors = f"sum by ({label}) (rate({wrong}[{OVER}])) / sum by ({label}) (rate({count}[{OVER}]))"
    yield by(label, "Errors", "percentunit", errors)
    p99 = f"histogram_quantile(0.99, sum by ({label}, le) (rate({bucket}[{OVER}])))"
    yield by(label, "Duration, 99%", "s", p99)


def edge() -> Iterator[Config]:
    """What people see."""
    classes = f"sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{{{EDGE}}}[{OVER}]))"
    yield by("envoy_response_code_class", "Answers by class", "reqps", classes)
    timing = f"sum by (le) (rate(envoy_http_downstream_rq_time_bucket{{{EDGE}}}[{OVER}]))"
    quantiles = {f"{q:.0%}": f"histogram_quantile({q}, {timing})" for q in (0.5, 0.95, 0.99)}
    yield panel("Duration", "ms", **quantiles)
    yield by("service", "Requests under way", "short", "sum by (service) (envoy_http_downstream_rq_active)")


def messages(contracts: Contracts) -> Iterator[Config]:
    """Events, from outbox to queue to consumer."""
    every = queues(contracts)
    yield by("event", "Published", "cps", f"sum by (event) (rate({PUBLISHED}[{OVER}]))")
    processed = f"sum by (queue, outcome) (rate({narrowed(PROCESSED + '_count', 'queue', every)}[{OVER}]))"
    yield by("queue, outcome", "Taken, by what came of it", "cps", processed)
    yield by("queue", "Duration, 99%", "s", quantile(0.99, PROCESSED, "queue", OVER))
    yield by(
        "queue",
        "Not consumed at once",
        "percentunit",
        ratio(PROCESSED + "_count", 'outcome!="consumed"', "queue", OVER),
    )
    yield by("queue", "Waiting in queues", "short", "delivery_queue_messages")
    yield by("queue", "Dead letters", "short", "delivery_queue_dead_letters")
    yield by("service", "Outbox: age of the oldest", "s", "delivery_outbox_lag_seconds")
    yield by("service", "Outbox: rows", "short", "delivery_outbox_rows")


def money() -> Iterator[Config]:
    """Orders and what they cost."""
    moves = f"sum by (from, to) (rate(delivery_orders_transitions_total[{OVER}]))"
    yield by("from, to", "Orders by transition", "cps", moves)
    refunded = "sum by (currency) (increase(delivery_refunds_amount_total[1h]))"
    yield by("currency", "Refunded in an hour, minor units", "short", refunded)
    asked = f"sum by (outcome) (rate(delivery_refunds_attempts_total[{OVER}]))"
    yield by("outcome", "Refunds asked for", "cps", asked)
    findings = "sum by (kind, outcome) (increase(delivery_reconciliation_findings_total[1h]))"
    yield by("kind, outcome", "Disagreements of stores in an hour", "short", findings)


def outside() -> Iterator[Config]:
    """Third parties."""
    answers = f"sum by (provider, outcome) (rate(delivery_providers_answers_total[{OVER}]))"
    yield by("provider, outcome", "Push and mail providers' answers", "cps", answers)
    told = f"sum by (kind, outcome) (rate(delivery_partners_answers_total[{OVER}]))"
    yield by("kind, outcome", "Partners' answers", "cps", told)
    yield panel(
        "Breakers open",
        "short",
        partners="sum(delivery_partners_breakers_open)",
        providers="sum(delivery_providers_breakers_open)",
        Envoy=" + ".join(f"sum({breaker})" for breaker in BREAKERS),
    )


def machines() -> Iterator[Config]:
    """Processes."""
    yield by("service", "CPU", "percentunit", f'rate(process_cpu_seconds_total{{job="delivery"}}[{OVER}])')
    yield by("service", "Memory", "bytes", 'process_resident_memory_bytes{job="delivery"}')
    yield by("service", "Envoy: memory", "bytes", "envoy_server_memory_allocated")


def rows(contracts: Contracts) -> Mapping[str, list[Config]]:
    """By title, what stands in it."""
    tags: defaultdict[str, list[str]] = defaultdict(list)
    for operation in operations(contracts, "delivery"):
        tags[operation.tag].append(operation.id)
    services: defaultdict[str, list[str]] = defaultdict(list)
    for method in methods(contracts):
        services[method.service].append(method.path.removeprefix("/"))
    return {
        "Edge": list(edge()),
        **{f"REST: {tag}": list(red(REQUESTS, "operation", ids, f'{STATUS}=~"5.."')) for tag, ids in tags.items()},
        **{f"RPC: {name}": list(red(SERVED, "rpc_method", m, f'{CODE}=~"{FAULTS}"')) for name, m in services.items()},
        "Events": list(messages(contracts)),
        "Orders and money": list(money()),
        "Third parties": list(outside()),
        "Processes": list(machines()),
    }


def placed(contracts: Contracts) -> Iterator[Config]:
    """Rows and panels with numbers and places."""
    top, number = 0, 0
    for title, panels in rows(contracts).items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }
        top += 1
        width = COLUMNS // min(len(panels), 4)
        for index, each in enumerate(panels):
            number += 1
            across = index * width % COLUMNS
            if index and across == 0:
                top += HEIGHT
            yield {"id": number, **each, "gridPos": {"x": across, "y": top, "w": width, "h": HEIGHT}}
        top += HEIGHT


def board(contracts: Contracts) -> Config:
    """The whole dashboard."""
    return {
        "uid": "delivery",
        "title": "Delivery",
        "tags": ["delivery"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}]},
        "panels": list(placed(contracts)),
    }
