"""Service level objectives of api-specs/observability.yaml, and the recording rules of their error ratios."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec import field as struct_field

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.errors import ContractError
from codegen.mesh import PLACEHOLDER, insert_name
from codegen.observability.promql import EDGE_SELECTOR, HTTP_SERVER_DURATION, list_event_streams
from codegen.typed_documents import convert_document, read_mapping
from codegen.yaml_input import build_pointer

SPECIFICATION = "api-specs/observability.yaml"
REQUIRED_KEYS = ("runbook_url", "objectives", "burn_rates")
SECONDS = {"m": 60, "h": 3600, "d": 86400}
BASE_WINDOW = "5m"
"""Window of the rates that are computed from metrics. Those of longer windows are averages of them, which is cheap."""

LATENCY = "latency"
OBJECTIVES, SPEEDS = ("availability", LATENCY), ("fast", "slow")
"""Objectives and burn rates for which rules exist."""

type Window = Annotated[str, Meta(pattern="^[1-9][0-9]{0,3}[mhd]$")]

REQUESTS, FAILED_REQUESTS, ERROR_RATIO = (
    f"{PLACEHOLDER}:slo_{name}" for name in ("requests:rate", "failed_requests:rate", "errors:ratio_rate")
)
"""Prefixes of the recorded metrics; the window follows."""

MIN_FAILED_REQUESTS = 3
"""Failed requests in the short window above which an alert fires, so that a single error at low traffic does not."""


@dataclass(frozen=True)
class BurnRate:
    """Condition of an alert: the error ratios of both windows exceed `rate` times the error budget."""

    rate: float
    long_window: Window
    short_window: Window

    def render_condition(self, objective: str, budget: float) -> str:
        """Return the condition as an expression, whose value is the error ratio of the long window."""
        selector, threshold = f'{{slo="{objective}"}}', f"{round(self.rate * budget, 6):g}"
        failed = f"{FAILED_REQUESTS}{self.short_window}{selector} * {to_seconds(self.short_window)}"
        return (
            f"({ERROR_RATIO}{self.long_window}{selector} > {threshold}"
            f" and {ERROR_RATIO}{self.short_window}{selector} > {threshold} and {failed} > {MIN_FAILED_REQUESTS})"
        )


class SpecifiedAlert(Struct, forbid_unknown_fields=True):
    """Alert of the file."""

    name: str
    expr: str
    summary: str
    for_duration: str = struct_field(name="for")
    is_critical: bool = False


class SpecifiedPanel(Struct, forbid_unknown_fields=True):
    """Panel of the file: one expression by label, or several named ones."""

    title: str
    unit: str
    by: str = ""
    expr: str = ""
    series: dict[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Return whether the panel has either named expressions, or one with its labels."""
        return bool(self.series) != bool(self.by and self.expr)


class _Objective(Struct, forbid_unknown_fields=True):
    target: float
    threshold: float | None = None


class _Content(Struct, forbid_unknown_fields=True):
    runbook_url: str
    objectives: dict[str, _Objective]
    burn_rates: dict[str, tuple[BurnRate, ...]]
    alerts: dict[str, list[SpecifiedAlert]] = {}
    dashboard: dict[str, list[SpecifiedPanel]] = {}
    span_parameters: list[str] = []


@dataclass(frozen=True)
class Specification:
    """Content of the file. `targets` are ratios, and `burn_rates` are by the speed of the alert, "fast" or "slow".

    `alerts` are by group, and `dashboard` contains panels by the title of their row.
    """

    runbook_url: str
    targets: Mapping[str, float]
    latency_threshold_s: float
    burn_rates: Mapping[str, tuple[BurnRate, ...]]
    alerts: Mapping[str, Sequence[SpecifiedAlert]] = field(default_factory=dict)
    dashboard: Mapping[str, Sequence[SpecifiedPanel]] = field(default_factory=dict)
    span_parameters: Sequence[str] = ()
    """Path parameters that become attributes of spans."""

    def get_budget(self, objective: str) -> float:
        """Return the error budget: the ratio of requests that may fail."""
        return round(1 - self.targets[objective], 6)

    def list_windows(self) -> list[str]:
        """Return all windows, the shortest first."""
        rates = [rate for rates in self.burn_rates.values() for rate in rates]
        windows = {BASE_WINDOW, *(window for rate in rates for window in (rate.long_window, rate.short_window))}
        return sorted(windows, key=to_seconds)


@cache
def load_specification(path: Path) -> Specification:
    """Read the file.

    Raises ContractError if a key is missing, a value has another type, the runbook's URL is relative or a target is no
    percentage.
    """
    document = read_mapping(path.parents[1], f"{path.parent.name}/{path.name}")
    if missing := [key for key in REQUIRED_KEYS if key not in document.content]:
        raise ContractError(f"{document.name}: the key {missing[0]} is missing; add it")
    content = convert_document(document, _Content)
    for name, objective in content.objectives.items():
        if not 0 < objective.target < 100:
            location = document.format_location(build_pointer("objectives", name))
            raise ContractError(f"{location}: the target of {name} is not between 0 and 100 percent; correct it")
    for key, names in (("objectives", OBJECTIVES), ("burn_rates", SPEEDS)):
        if {*document.content[key]} != {*names}:
            location = document.format_location(build_pointer(key))
            raise ContractError(f"{location}: {key} are not {' and '.join(names)}; write both, and no other")
    threshold = content.objectives[LATENCY].threshold
    if threshold is None:
        raise ContractError(f"{document.name}: the objective {LATENCY} lacks `threshold`; add it")
    for title, panels in content.dashboard.items():
        for index, panel in enumerate(panels):
            if not panel.is_complete:
                location = document.format_location(build_pointer("dashboard", title, index))
                problem = f"the panel {panel.title} has neither `series` nor `by` and `expr`, or both"
                raise ContractError(f"{location}: {problem}; write one of them")
    if not content.runbook_url.startswith("https://"):
        raise ContractError(f"{document.name}: runbook_url is not an absolute https URL; correct it")
    return Specification(
        content.runbook_url,
        {name: objective.target / 100 for name, objective in content.objectives.items()},
        threshold,
        content.burn_rates,
        content.alerts,
        content.dashboard,
        content.span_parameters,
    )


def get_specification(contracts: Contracts) -> Specification:
    """Return the specification that belongs to the contracts."""
    return load_specification(contracts.root / SPECIFICATION)


def to_seconds(window: str) -> int:
    """Return the length of a window such as "30m"."""
    return int(window[:-1]) * SECONDS[window[-1]]


def render_rates(objective: str, specification: Specification, contracts: Contracts) -> tuple[str, str]:
    """Return the expressions of the rates of all requests and of failed requests of an objective."""
    if objective == "availability":
        requests = f"envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}%s}}"
        return (
            f"sum(rate({requests % ''}[{BASE_WINDOW}]))",
            f"sum(rate({requests % ', envoy_response_code_class="5"'}[{BASE_WINDOW}]))",
        )
    streams = f'operation!~"{"|".join(list_event_streams(contracts))}"'
    total = f"sum(rate({HTTP_SERVER_DURATION}_count{{{streams}}}[{BASE_WINDOW}]))"
    bound = f'le="{specification.latency_threshold_s}"'
    return total, f"{total} - sum(rate({HTTP_SERVER_DURATION}_bucket{{{streams}, {bound}}}[{BASE_WINDOW}]))"


def iter_recording_rules(contracts: Contracts) -> Iterator[Config]:
    """Yield the rates of requests and failed requests, and their ratio, for each objective and window."""
    for rule in _iter_rules(contracts):
        yield insert_name(rule, contracts.name)


def _iter_rules(contracts: Contracts) -> Iterator[Config]:
    specification = get_specification(contracts)
    for objective in specification.targets:
        labels, selector = {"slo": objective}, f'{{slo="{objective}"}}'
        base_rates = dict(
            zip((REQUESTS, FAILED_REQUESTS), render_rates(objective, specification, contracts), strict=True)
        )
        for window in specification.list_windows():
            for metric, base_rate in base_rates.items():
                average = f"avg_over_time({metric}{BASE_WINDOW}{selector}[{window}])"
                expr = base_rate if window == BASE_WINDOW else average
                yield {"record": metric + window, "expr": expr, "labels": labels}
            ratio = f"{FAILED_REQUESTS}{window}{selector} / {REQUESTS}{window}{selector}"
            yield {"record": ERROR_RATIO + window, "expr": ratio, "labels": labels}
