"""Grafana dashboard with a row for the edge, each tag of the REST API, each RPC service, events and processes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.mesh import PLACEHOLDER, insert_name
from codegen.observability.objectives import ERROR_RATIO, Specification, SpecifiedPanel, get_specification
from codegen.observability.promql import (
    DATABASE_DURATION,
    EDGE_SELECTOR,
    EVENT_PROCESS_DURATION,
    EVENTS_PUBLISHED,
    HTTP_SERVER_DURATION,
    HTTP_STATUS_LABEL,
    RPC_SERVER_DURATION,
    RPC_STATUS_LABEL,
    SERVER_ERROR_CODES,
    iter_rpc_methods,
    list_consumed_queues,
    render_error_ratio,
    render_quantile,
)
from codegen.rest.operations import iter_operations

DATASOURCE = {"type": "prometheus", "uid": "${source}"}
RATE_INTERVAL = "$__rate_interval"
GRID_COLUMNS, PANEL_HEIGHT = 24, 8


def build_panel(title: str, unit: str, **series: str) -> Config:
    """Return a graph. Each series is a legend (with `_` for a space) and an expression."""
    return {
        "type": "timeseries",
        "title": title,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + index), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend.replace("_", " ")}
            for index, (legend, expr) in enumerate(series.items())
        ],
    }


def build_panel_by_label(label: str, title: str, unit: str, expr: str) -> Config:
    """Return a graph with one series per value of a label, or per combination of comma-separated labels."""
    graph = build_panel(title, unit, line=expr)
    graph["targets"][0]["legendFormat"] = " ".join(f"{{{{{each}}}}}" for each in label.split(", "))
    return graph


def filter_by_name(metric: str, label: str, names: list[str], extra_selector: str = "") -> str:
    """Return the metric with a selector for some names."""
    return f'{metric}{{{label}=~"{"|".join(names)}"{extra_selector}}}'


def iter_red_panels(metric: str, label: str, names: list[str], error_selector: str) -> Iterator[Config]:
    """Yield the RED panels: rate, errors, duration."""
    count, bucket = (filter_by_name(metric + part, label, names) for part in ("_count", "_bucket"))
    failed = filter_by_name(metric + "_count", label, names, f", {error_selector}")
    yield build_panel_by_label(label, "Rate", "reqps", f"sum by ({label}) (rate({count}[{RATE_INTERVAL}]))")
    errors = f"sum by ({label}) (rate({failed}[{RATE_INTERVAL}])) / sum by ({label}) (rate({count}[{RATE_INTERVAL}]))"
    yield build_panel_by_label(label, "Errors", "percentunit", errors)
    p99 = f"histogram_quantile(0.99, sum by ({label}, le) (rate({bucket}[{RATE_INTERVAL}])))"
    yield build_panel_by_label(label, "Duration, 99%", "s", p99)


def iter_edge_panels() -> Iterator[Config]:
    """Yield the panels of the public edge."""
    classes = (
        f"sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}}}[{RATE_INTERVAL}]))"
    )
    yield build_panel_by_label("envoy_response_code_class", "Responses by status class", "reqps", classes)
    timing = f"sum by (le) (rate(envoy_http_downstream_rq_time_bucket{{{EDGE_SELECTOR}}}[{RATE_INTERVAL}]))"
    quantiles = {f"{q:.0%}": f"histogram_quantile({q}, {timing})" for q in (0.5, 0.95, 0.99)}
    yield build_panel("Duration", "ms", **quantiles)
    yield build_panel_by_label(
        "service", "Active requests", "short", "sum by (service) (envoy_http_downstream_rq_active)"
    )


def iter_objective_panels(specification: Specification) -> Iterator[Config]:
    """Yield the burn rates of the error budgets: at 1, the budget is exhausted at the end of the period."""
    for window in ("1h", "6h", "3d"):
        burn_rates = {
            objective: f'{ERROR_RATIO}{window}{{slo="{objective}"}} / {specification.get_budget(objective):g}'
            for objective in specification.targets
        }
        yield build_panel(f"Burn rate of the error budget, {window}", "short", **burn_rates)


def iter_database_panels() -> Iterator[Config]:
    """Yield the RED panels of database operations, by service and database system."""
    labels = "service, db_system_name"
    count = f"{DATABASE_DURATION}_count"
    yield build_panel_by_label(labels, "Rate", "cps", f"sum by ({labels}) (rate({count}[{RATE_INTERVAL}]))")
    errors = render_error_ratio(count, 'error_type!=""', labels, RATE_INTERVAL)
    yield build_panel_by_label(labels, "Errors", "percentunit", errors)
    p99 = render_quantile(0.99, DATABASE_DURATION, labels, RATE_INTERVAL)
    yield build_panel_by_label(labels, "Duration, 99%", "s", p99)


def iter_event_panels(contracts: Contracts) -> Iterator[Config]:
    """Yield the panels of events, from the outbox to the consumer."""
    queues = list_consumed_queues(contracts)
    yield build_panel_by_label(
        "event", "Published", "cps", f"sum by (event) (rate({EVENTS_PUBLISHED}[{RATE_INTERVAL}]))"
    )
    process_count = filter_by_name(EVENT_PROCESS_DURATION + "_count", "queue", queues)
    processed = f"sum by (queue, outcome) (rate({process_count}[{RATE_INTERVAL}]))"
    yield build_panel_by_label("queue, outcome", "Processed by outcome", "cps", processed)
    yield build_panel_by_label(
        "queue", "Duration, 99%", "s", render_quantile(0.99, EVENT_PROCESS_DURATION, "queue", RATE_INTERVAL)
    )
    yield build_panel_by_label(
        "queue",
        "Not consumed at the first attempt",
        "percentunit",
        render_error_ratio(EVENT_PROCESS_DURATION + "_count", 'outcome!="consumed"', "queue", RATE_INTERVAL),
    )
    yield build_panel_by_label("queue", "Queue length", "short", f"{PLACEHOLDER}_queue_messages")
    yield build_panel_by_label("queue", "Dead letters", "short", f"{PLACEHOLDER}_queue_dead_letters")
    yield build_panel_by_label("service", "Outbox: age of the oldest event", "s", f"{PLACEHOLDER}_outbox_lag_seconds")
    yield build_panel_by_label("service", "Outbox: pending events", "short", f"{PLACEHOLDER}_outbox_pending_events")


def iter_specified_panels(panels: Iterable[SpecifiedPanel]) -> Iterator[Config]:
    """Yield the panels of a row of the specification."""
    for panel in panels:
        if panel.series:
            yield build_panel(panel.title, panel.unit, **panel.series)
        else:
            yield build_panel_by_label(panel.by, panel.title, panel.unit, panel.expr)


def iter_process_panels() -> Iterator[Config]:
    """Yield the panels of CPU and memory."""
    yield build_panel_by_label(
        "service", "CPU", "percentunit", f'rate(process_cpu_seconds_total{{job="{PLACEHOLDER}"}}[{RATE_INTERVAL}])'
    )
    yield build_panel_by_label("service", "Memory", "bytes", f'process_resident_memory_bytes{{job="{PLACEHOLDER}"}}')
    yield build_panel_by_label("service", "Envoy: memory", "bytes", "envoy_server_memory_allocated")


def build_dashboard_rows(contracts: Contracts) -> Mapping[str, list[Config]]:
    """Return the panels of each row by title."""
    specification = get_specification(contracts)
    tags: defaultdict[str, list[str]] = defaultdict(list)
    for operation in iter_operations(contracts, contracts.name):
        tags[operation.tag].append(operation.id)
    services: defaultdict[str, list[str]] = defaultdict(list)
    for method in iter_rpc_methods(contracts):
        services[method.service].append(method.path.removeprefix("/"))
    return {
        "Objectives": list(iter_objective_panels(specification)),
        "Edge": list(iter_edge_panels()),
        **{
            f"REST: {tag}": list(iter_red_panels(HTTP_SERVER_DURATION, "operation", ids, f'{HTTP_STATUS_LABEL}=~"5.."'))
            for tag, ids in tags.items()
        },
        **{
            f"RPC: {name}": list(
                iter_red_panels(RPC_SERVER_DURATION, "rpc_method", paths, f'{RPC_STATUS_LABEL}=~"{SERVER_ERROR_CODES}"')
            )
            for name, paths in services.items()
        },
        "Events": list(iter_event_panels(contracts)),
        **{title: list(iter_specified_panels(panels)) for title, panels in specification.dashboard.items()},
        "Databases": list(iter_database_panels()),
        "Processes": list(iter_process_panels()),
    }


def lay_out(contracts: Contracts) -> Iterator[Config]:
    """Yield rows and panels with ids and grid positions."""
    y, number = 0, 0
    for title, panels in build_dashboard_rows(contracts).items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": GRID_COLUMNS, "h": 1},
        }
        y += 1
        width = GRID_COLUMNS // min(len(panels), 4)
        for index, each in enumerate(panels):
            number += 1
            x = index * width % GRID_COLUMNS
            if index and x == 0:
                y += PANEL_HEIGHT
            yield {"id": number, **each, "gridPos": {"x": x, "y": y, "w": width, "h": PANEL_HEIGHT}}
        y += PANEL_HEIGHT


def build_dashboard(contracts: Contracts) -> Config:
    """Return the dashboard."""
    return {
        "uid": contracts.name,
        "title": contracts.name.title(),
        "tags": [contracts.name],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}]},
        "panels": insert_name(list(lay_out(contracts)), contracts.name),
    }
