"""The operator's page in the terminal: every process, its traffic, outboxes, queues, and what is wrong."""

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

from deploy.local.infrastructure.servers import SERVICES
from deploy.local.mesh_config import MeshConfig
from deploy.local.status.metrics_reader import MetricsSnapshot, OutboxBacklog, RequestCounts, read_metrics
from deploy.local.supervisor.supervisor_state import ProcessState, SupervisorState, read_running_state

STATE_COLOURS = {"ready": "green", "starting": "yellow", "waiting": "dim", "restarting": "red"}

SAMPLE_INTERVAL_S = 1.0
"""Seconds between the two readings that a page is made of."""

REFRESH_INTERVAL_S = 2.0
"""Seconds between pages that are watched."""

MIN_WIDE_COLUMNS = 110
"""Columns from which on there is room for process ids and ports."""

MAX_OUTBOX_LAG_S = 30.0
"""Seconds of outbox lag that are too many; the alert rules say the same."""

NOT_RUNNING_MESSAGE = "the mesh is not running; `make up` starts it"


def show_status(config: MeshConfig, console: Console, *, watch: bool) -> int:
    """Prints the page; or shows it anew until interrupted. 1 when the mesh is not running or not whole."""
    if not watch:
        report = read_running_state(config)
        if report is None:
            console.print(NOT_RUNNING_MESSAGE, highlight=False)
            return 1
        before = read_metrics(config)
        time.sleep(SAMPLE_INTERVAL_S)
        now = read_metrics(config)
        report = check_liveness(report, now, config.bind_address)
        console.print(render_status(report, before, now, console.width))
        return 0 if is_healthy(report) else 1
    with suppress(KeyboardInterrupt):
        _watch_status(config, console)
    return 0


def _watch_status(config: MeshConfig, console: Console) -> None:
    """Pages one after the other; a terminal shows each in the place of the last."""
    before = read_metrics(config)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(SAMPLE_INTERVAL_S if not before.traffic else REFRESH_INTERVAL_S)
            report, now = read_running_state(config), read_metrics(config)
            shown: RenderableType = Text(NOT_RUNNING_MESSAGE, "red")
            if report is not None:
                shown = render_status(check_liveness(report, now, config.bind_address), before, now, console.width)
            if console.is_terminal:
                live.update(shown, refresh=True)
            else:
                console.print(shown)
            before = now


def is_healthy(supervisor_state: SupervisorState) -> bool:
    """Whether everything is as it should be."""
    return supervisor_state.phase == "ready" and all(child.state == "ready" for child in supervisor_state.children)


def render_status(
    supervisor_state: SupervisorState, previous: MetricsSnapshot, current: MetricsSnapshot, width: int
) -> RenderableType:
    """Everything on one page of so many columns."""
    parts: list[RenderableType] = [
        _render_processes(supervisor_state, previous, current, wide=width >= MIN_WIDE_COLUMNS)
    ]
    if supervisor_state.scope == "all":
        pipes = [_render_outboxes(current), _render_queues(current)]
        parts += (
            _place_side_by_side(pipes)
            if width >= MIN_WIDE_COLUMNS
            else [part for pipe in pipes for part in (Text(), pipe)]
        )
    wrong = list(list_problems(supervisor_state, current))
    parts += [Text(), *(Text.from_markup(f"[red]![/] {each}") for each in wrong)]
    if not wrong:
        parts.append(Text.from_markup("[green]nothing is wrong[/]"))
    return Group(*parts)


def check_liveness(supervisor_state: SupervisorState, current: MetricsSnapshot, host: str) -> SupervisorState:
    """The report as of now: what was ready once and answers no more is silent."""

    def seen(child: ProcessState) -> ProcessState:
        scraped = supervisor_state.scope == "all" and (child.name in SERVICES or child.name.endswith("-envoy"))
        answers = child.name in current.traffic if scraped else _is_listening(host, child.ports)
        return child if child.state != "ready" or answers else replace(child, state="silent", message="no answer")

    return replace(supervisor_state, children=[seen(child) for child in supervisor_state.children])


def _is_listening(host: str, ports: Sequence[int]) -> bool:
    """Whether somebody takes connections where they are expected first."""
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
    title = f"delivery · {supervisor_state.phase} · {len(memory)} processes · {_format_size(sum(memory.values()))}"
    table = _create_table(title, "process", "state", "#up", "#mem", "#again", "#req/s", "#err", "#total", "#failed")
    if wide:
        for name in ("#pid", "ports"):
            _add_column(table, name)
    for child in supervisor_state.children:
        traffic = current.traffic.get(child.name)
        cells = [
            child.name,
            f"[{STATE_COLOURS.get(child.state, 'red')}]{child.state}[/]",
            _format_age(time.time() - child.start_time) if child.pid else "",
            _format_size(memory[child.name]),
            f"[yellow]{child.restarts}[/]" if child.restarts else "",
            *_format_request_rates(child.name, previous, current),
            f"{traffic.total:,.0f}" if traffic else "",
            f"[red]{traffic.failed:,.0f}[/]" if traffic and traffic.failed else "",
        ]
        table.add_row(*cells, *([str(child.pid or ""), " ".join(map(str, child.ports))] if wide else []))
    return table


def _format_request_rates(name: str, previous: MetricsSnapshot, current: MetricsSnapshot) -> tuple[str, str]:
    """Requests per second between two readings, and which part of them failed."""
    old, new = previous.traffic.get(name), current.traffic.get(name)
    if old is None or new is None:
        return "", ""
    since = RequestCounts(new.total - old.total, new.failed - old.failed)
    if since.total < 0 or current.taken_at <= previous.taken_at:  # it was started again in between
        return "", ""
    share = f"{since.failed / since.total:.0%}" if since.total else ""
    return f"{since.total / (current.taken_at - previous.taken_at):.1f}", f"[red]{share}[/]" if since.failed else share


def _render_outboxes(current: MetricsSnapshot) -> Table:
    table = _create_table("outboxes", "service", "#rows", "#oldest")
    for service, outbox in current.outboxes.items():
        late = "red" if outbox.lag_s > MAX_OUTBOX_LAG_S else "white"
        table.add_row(service, str(outbox.rows), f"[{late}]{outbox.lag_s:.1f} s[/]")
    return table


def _render_queues(current: MetricsSnapshot) -> Table:
    """In two halves, side by side."""
    names = sorted(current.queued_messages)
    half = (len(names) + 1) // 2
    grid = Table.grid(padding=(0, 3, 0, 0))
    halves = [_create_table("queues", "queue", "#waits", "#dead"), _create_table(" ", "queue", "#waits", "#dead")]
    for table, part in zip(halves, (names[:half], names[half:]), strict=True):
        for name in part:
            table.add_row(
                name, str(current.queued_messages[name]), _format_dead_letters(current.dead_letters.get(name))
            )
    grid.add_row(*halves)
    return grid


def list_problems(supervisor_state: SupervisorState, current: MetricsSnapshot) -> Iterator[str]:
    """Each in one sentence, with what helps."""
    if supervisor_state.error:
        yield escape(supervisor_state.error)
    for child in supervisor_state.children:
        if child.state != "ready":
            yield f"{child.name} is {child.state}: {escape(child.message or 'see its log')}; make logs NAMES={child.name}"
    yield from _list_outbox_lag_problems(current.outboxes)
    for queue, number in current.dead_letters.items():
        if number:
            yield f"{number} dead letters of {queue}; make dead-letters"
    if supervisor_state.phase == "ready":
        yield from (f"{name} cannot read its database" for name in SERVICES if _is_outbox_unreadable(name, current))


def _list_outbox_lag_problems(outboxes: Mapping[str, OutboxBacklog]) -> Iterator[str]:
    for service, outbox in outboxes.items():
        if outbox.lag_s > MAX_OUTBOX_LAG_S:
            yield f"{service} has not published for {outbox.lag_s:.0f} s; make logs NAMES='{service} rabbitmq'"


def _is_outbox_unreadable(service: str, current: MetricsSnapshot) -> bool:
    """Whether it is there, and cannot say how far its outbox is behind."""
    return service in current.traffic and service not in current.outboxes


def _create_table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 1, 0, 0)
    )
    for name in columns:
        _add_column(table, name)
    return table


def _add_column(table: Table, name: str) -> None:
    """A column that is never cut; with a number sign before its name, of numbers."""
    table.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", no_wrap=True)


def _format_dead_letters(count: int | None) -> str:
    return "" if count is None else f"[red]{count}[/]" if count else "0"


def _format_age(seconds: float) -> str:
    """As 12s, 3m05s, 2h07m, 4d02h."""
    whole = int(seconds)
    for size, above, below in ((86400, "d", "h"), (3600, "h", "m"), (60, "m", "s")):
        if whole >= size:
            part = {"h": 3600, "m": 60, "s": 1}[below]
            return f"{whole // size}{above}{whole % size // part:02}{below}"
    return f"{whole}s"


def _format_size(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size else ""


def _measure_memory_bytes(pid: int) -> int:
    """What a process and its children take, in bytes; shared pages are counted once."""
    if not pid:
        return 0
    try:
        process = psutil.Process(pid)
        return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])
    except (psutil.Error, ValueError):
        return 0
