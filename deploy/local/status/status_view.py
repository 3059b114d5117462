"""Status view in the terminal: processes, traffic, outboxes, queues and problems."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import psutil
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.status.alert_conditions import list_alert_problems
from deploy.local.status.metrics_reader import MetricsSnapshot, OutboxBacklog, RequestCounts, read_metrics
from deploy.local.supervisor.supervisor_state import ProcessState, SupervisorState, read_running_state
from generated import mesh

STATE_COLOURS = {"ready": "green", "starting": "yellow", "waiting": "dim", "restarting": "red"}

SAMPLE_INTERVAL_S = 1.0
"""Seconds between the two snapshots from which rates are computed."""

REFRESH_INTERVAL_S = 2.0
"""Seconds between refreshes with `--watch`."""

MIN_WIDE_COLUMNS = 110
"""Terminal width from which process ids and ports are shown, in columns."""

MAX_OUTBOX_LAG_S = 30.0
"""Outbox lag above which a problem is reported, in seconds; the same threshold as in the alert rules."""

NOT_RUNNING_MESSAGE = "the mesh is not running; `make up` starts it"


def show_status(config: MeshConfig, console: Console, *, watch: bool) -> int:
    """Print the status once, or refresh it until interrupted.

    Return 0 if the mesh is healthy or was watched, else 1.
    """
    if not watch:
        state = read_running_state(config)
        if state is None:
            console.print(NOT_RUNNING_MESSAGE, highlight=False)
            return 1
        previous = read_metrics(config)
        time.sleep(SAMPLE_INTERVAL_S)
        current = read_metrics(config)
        state = check_liveness(state, current, config.bind_address)
        console.print(render_status(state, previous, current, console.width))
        return 0 if is_healthy(state) else 1
    with suppress(KeyboardInterrupt):
        _watch_status(config, console)
    return 0


def _watch_status(config: MeshConfig, console: Console) -> None:
    """Refresh the status forever; outside a terminal, append each refresh to the output."""
    previous = read_metrics(config)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(SAMPLE_INTERVAL_S if not previous.traffic else REFRESH_INTERVAL_S)
            state, current = read_running_state(config), read_metrics(config)
            view: RenderableType = Text(NOT_RUNNING_MESSAGE, "red")
            if state is not None:
                state = check_liveness(state, current, config.bind_address)
                view = render_status(state, previous, current, console.width)
            if console.is_terminal:
                live.update(view, refresh=True)
            else:
                console.print(view)
            previous = current


def is_healthy(supervisor_state: SupervisorState) -> bool:
    """Return whether all processes are ready."""
    return supervisor_state.phase == "ready" and all(child.state == "ready" for child in supervisor_state.children)


def render_status(
    supervisor_state: SupervisorState, previous: MetricsSnapshot, current: MetricsSnapshot, width: int
) -> RenderableType:
    """Return the status view for a terminal of `width` columns."""
    parts: list[RenderableType] = [
        _render_processes(supervisor_state, previous, current, wide=width >= MIN_WIDE_COLUMNS)
    ]
    if supervisor_state.scope == "all":
        tables = [_render_outboxes(current), _render_queues(current)]
        parts += (
            _place_side_by_side(tables)
            if width >= MIN_WIDE_COLUMNS
            else [part for table in tables for part in (Text(), table)]
        )
    problems = list(list_problems(supervisor_state, current))
    parts += [Text(), *(Text.from_markup(f"[red]![/] {each}") for each in problems)]
    if not problems:
        parts.append(Text.from_markup("[green]no problems found[/]"))
    return Group(*parts)


def check_liveness(supervisor_state: SupervisorState, current: MetricsSnapshot, host: str) -> SupervisorState:
    """Return the state with ready processes that no longer respond marked as unhealthy."""

    def check(child: ProcessState) -> ProcessState:
        is_scraped = supervisor_state.scope == "all" and (child.name in SERVICES or child.name.endswith("-envoy"))
        is_responsive = child.name in current.traffic if is_scraped else _is_listening(host, child.ports)
        if child.state != "ready" or is_responsive:
            return child
        return replace(child, state="unhealthy", message="no response")

    return replace(supervisor_state, children=[check(child) for child in supervisor_state.children])


def _is_listening(host: str, ports: Sequence[int]) -> bool:
    """Return whether the first port accepts connections; true without ports."""
    for port in ports[:1]:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)):
                return False
    return True


def _place_side_by_side(renderables: Sequence[RenderableType]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(*renderables)
    return [Text(), grid]


def _render_processes(
    supervisor_state: SupervisorState, previous: MetricsSnapshot, current: MetricsSnapshot, *, wide: bool
) -> Table:
    memory = {child.name: _measure_memory_bytes(child.pid) for child in supervisor_state.children}
    title = f"{mesh.NAME} · {supervisor_state.phase} · {len(memory)} processes · {_format_size(sum(memory.values()))}"
    table = _create_table(title, "process", "state", "#up", "#mem", "#restarts", "#req/s", "#err", "#total", "#failed")
    if wide:
        for name in ("#pid", "ports"):
            _add_column(table, name)
    for child in supervisor_state.children:
        traffic = current.traffic.get(child.name)
        cells = [
            child.name,
            f"[{STATE_COLOURS.get(child.state, 'red')}]{child.state}[/]",
            _format_age(time.clock_gettime(time.CLOCK_BOOTTIME) - child.start_time) if child.pid else "",
            _format_size(memory[child.name]),
            f"[yellow]{child.restarts}[/]" if child.restarts else "",
            *_format_request_rates(child.name, previous, current),
            f"{traffic.total:,.0f}" if traffic else "",
            f"[red]{traffic.failed:,.0f}[/]" if traffic and traffic.failed else "",
        ]
        table.add_row(*cells, *([str(child.pid or ""), " ".join(map(str, child.ports))] if wide else []))
    return table


def _format_request_rates(name: str, previous: MetricsSnapshot, current: MetricsSnapshot) -> tuple[str, str]:
    """Return the request rate per second and the error rate between two snapshots; empty after a restart."""
    old, new = previous.traffic.get(name), current.traffic.get(name)
    if old is None or new is None:
        return "", ""
    delta = RequestCounts(new.total - old.total, new.failed - old.failed)
    if delta.total < 0 or current.taken_at <= previous.taken_at:  # the process has restarted
        return "", ""
    errors = f"{delta.failed / delta.total:.0%}" if delta.total else ""
    rate = f"{delta.total / (current.taken_at - previous.taken_at):.1f}"
    return rate, f"[red]{errors}[/]" if delta.failed else errors


def _render_outboxes(current: MetricsSnapshot) -> Table:
    table = _create_table("outboxes", "service", "#rows", "#oldest")
    for service, outbox in current.outboxes.items():
        colour = "red" if outbox.lag_s > MAX_OUTBOX_LAG_S else "white"
        table.add_row(service, str(outbox.rows), f"[{colour}]{outbox.lag_s:.1f} s[/]")
    return table


def _render_queues(current: MetricsSnapshot) -> Table:
    """Return the queues in two tables side by side."""
    names = sorted(current.queued_messages)
    half = (len(names) + 1) // 2
    grid = Table.grid(padding=(0, 3, 0, 0))
    tables = [_create_table("queues", "queue", "#ready", "#dead"), _create_table(" ", "queue", "#ready", "#dead")]
    for table, names_of_half in zip(tables, (names[:half], names[half:]), strict=True):
        for name in names_of_half:
            table.add_row(
                name, str(current.queued_messages[name]), _format_dead_letters(current.dead_letters.get(name))
            )
    grid.add_row(*tables)
    return grid


def list_problems(supervisor_state: SupervisorState, current: MetricsSnapshot) -> Iterator[str]:
    """Yield each problem in one sentence, with the command that helps to fix it."""
    if supervisor_state.error:
        yield escape(supervisor_state.error)
    for child in supervisor_state.children:
        if child.state != "ready":
            message = escape(child.message or "see its log")
            yield f"{child.name} is {child.state}: {message}; make logs NAMES={child.name}"
    yield from _list_outbox_lag_problems(current.outboxes)
    for queue, number in current.dead_letters.items():
        if number:
            yield f"{number} dead letters of {queue}; make dead-letters"
    if supervisor_state.phase == "ready":
        yield from map(escape, list_alert_problems(current))
        yield from (f"{name} cannot read its database" for name in SERVICES if _is_outbox_unreadable(name, current))


def _list_outbox_lag_problems(outboxes: Mapping[str, OutboxBacklog]) -> Iterator[str]:
    for service, outbox in outboxes.items():
        if outbox.lag_s > MAX_OUTBOX_LAG_S:
            yield f"{service} has not published for {outbox.lag_s:.0f} s; make logs NAMES='{service} rabbitmq'"


def _is_outbox_unreadable(service: str, current: MetricsSnapshot) -> bool:
    """Return whether the service responds but reports no outbox metrics."""
    return service in current.traffic and service not in current.outboxes


def _create_table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 1, 0, 0)
    )
    for name in columns:
        _add_column(table, name)
    return table


def _add_column(table: Table, name: str) -> None:
    """Add a column that is not truncated; a name that starts with "#" denotes right-aligned numbers."""
    table.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", no_wrap=True)


def _format_dead_letters(count: int | None) -> str:
    return "" if count is None else f"[red]{count}[/]" if count else "0"


def _format_age(seconds: float) -> str:
    """Return a duration such as 12s, 3m05s, 2h07m or 4d02h."""
    whole = int(seconds)
    for size, above, below in ((86400, "d", "h"), (3600, "h", "m"), (60, "m", "s")):
        if whole >= size:
            part = {"h": 3600, "m": 60, "s": 1}[below]
            return f"{whole // size}{above}{whole % size // part:02}{below}"
    return f"{whole}s"


def _format_size(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size else ""


def _measure_memory_bytes(pid: int) -> int:
    """Return the memory of a process and its children (PSS, which divides shared pages), in bytes; 0 if unknown."""
    if not pid:
        return 0
    try:
        process = psutil.Process(pid)
        return sum(each.memory_full_info().pss for each in [process, *process.children(recursive=True)])
    except (psutil.Error, ValueError):
        return 0
