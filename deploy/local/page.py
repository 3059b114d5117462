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

from deploy.local.readings import Outbox, Readings, Traffic, read
from deploy.local.report import Child, Report, running
from deploy.local.servers import SERVICES
from deploy.local.state import State

COLOURS = {"ready": "green", "starting": "yellow", "waiting": "dim", "restarting": "red"}

WINDOW_S = 1.0
"""Seconds between the two readings that a page is made of."""

REFRESH_S = 2.0
"""Seconds between pages that are watched."""

WIDE = 110
"""Columns from which on there is room for process ids and ports."""

LATE_S = 30.0
"""Seconds of outbox lag that are too many; the alert rules say the same."""

NOT_RUNNING = "the mesh is not running; `make up` starts it"


def show(state: State, console: Console, *, watch: bool) -> int:
    """Prints the page; or shows it anew until interrupted. 1 when the mesh is not running or not whole."""
    if not watch:
        report = running(state)
        if report is None:
            console.print(NOT_RUNNING, highlight=False)
            return 1
        before = read(state)
        time.sleep(WINDOW_S)
        now = read(state)
        report = checked(report, now, state.bind)
        console.print(page(report, before, now, console.width))
        return 0 if whole(report) else 1
    with suppress(KeyboardInterrupt):
        _watch(state, console)
    return 0


def _watch(state: State, console: Console) -> None:
    """Pages one after the other; a terminal shows each in the place of the last."""
    before = read(state)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(WINDOW_S if not before.traffic else REFRESH_S)
            report, now = running(state), read(state)
            shown: RenderableType = Text(NOT_RUNNING, "red")
            if report is not None:
                shown = page(checked(report, now, state.bind), before, now, console.width)
            if console.is_terminal:
                live.update(shown, refresh=True)
            else:
                console.print(shown)
            before = now


def whole(report: Report) -> bool:
    """Whether everything is as it should be."""
    return report.phase == "ready" and all(child.state == "ready" for child in report.children)


def page(report: Report, before: Readings, now: Readings, width: int) -> RenderableType:
    """Everything on one page of so many columns."""
    parts: list[RenderableType] = [_processes(report, before, now, wide=width >= WIDE)]
    if report.extent == "all":
        pipes = [_outboxes(now), _queues(now)]
        parts += _beside(pipes) if width >= WIDE else [part for pipe in pipes for part in (Text(), pipe)]
    wrong = list(troubles(report, now))
    parts += [Text(), *(Text.from_markup(f"[red]![/] {each}") for each in wrong)]
    if not wrong:
        parts.append(Text.from_markup("[green]nothing is wrong[/]"))
    return Group(*parts)


def checked(report: Report, now: Readings, host: str) -> Report:
    """The report as of now: what was ready once and answers no more is silent."""

    def seen(child: Child) -> Child:
        scraped = report.extent == "all" and (child.name in SERVICES or child.name.endswith("-envoy"))
        answers = child.name in now.traffic if scraped else _listens(host, child.ports)
        return child if child.state != "ready" or answers else replace(child, state="silent", said="no answer")

    return replace(report, children=[seen(child) for child in report.children])


def _listens(host: str, ports: Sequence[int]) -> bool:
    """Whether somebody takes connections where they are expected first."""
    for port in ports[:1]:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)):
                return False
    return True


def _beside(parts: Sequence[RenderableType]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(*parts)
    return [Text(), grid]


def _processes(report: Report, before: Readings, now: Readings, *, wide: bool) -> Table:
    memory = {child.name: _memory(child.pid) for child in report.children}
    title = f"delivery · {report.phase} · {len(memory)} processes · {_size(sum(memory.values()))}"
    table = _table(title, "process", "state", "#up", "#mem", "#again", "#req/s", "#err", "#total", "#failed")
    if wide:
        for name in ("#pid", "ports"):
            _column(table, name)
    for child in report.children:
        traffic = now.traffic.get(child.name)
        cells = [
            child.name,
            f"[{COLOURS.get(child.state, 'red')}]{child.state}[/]",
            _age(time.time() - child.started) if child.pid else "",
            _size(memory[child.name]),
            f"[yellow]{child.restarts}[/]" if child.restarts else "",
            *_rates(child.name, before, now),
            f"{traffic.requests:,.0f}" if traffic else "",
            f"[red]{traffic.failed:,.0f}[/]" if traffic and traffic.failed else "",
        ]
        table.add_row(*cells, *([str(child.pid or ""), " ".join(map(str, child.ports))] if wide else []))
    return table


def _rates(name: str, before: Readings, now: Readings) -> tuple[str, str]:
    """Requests per second between two readings, and which part of them failed."""
    old, new = before.traffic.get(name), now.traffic.get(name)
    if old is None or new is None:
        return "", ""
    since = Traffic(new.requests - old.requests, new.failed - old.failed)
    if since.requests < 0 or now.at <= before.at:  # it was started again in between
        return "", ""
    share = f"{since.failed / since.requests:.0%}" if since.requests else ""
    return f"{since.requests / (now.at - before.at):.1f}", f"[red]{share}[/]" if since.failed else share


def _outboxes(now: Readings) -> Table:
    table = _table("outboxes", "service", "#rows", "#oldest")
    for service, outbox in now.outboxes.items():
        late = "red" if outbox.lag_s > LATE_S else "white"
        table.add_row(service, str(outbox.rows), f"[{late}]{outbox.lag_s:.1f} s[/]")
    return table


def _queues(now: Readings) -> Table:
    """In two halves, side by side."""
    names = sorted(now.waiting)
    half = (len(names) + 1) // 2
    grid = Table.grid(padding=(0, 3, 0, 0))
    halves = [_table("queues", "queue", "#waits", "#dead"), _table(" ", "queue", "#waits", "#dead")]
    for table, part in zip(halves, (names[:half], names[half:]), strict=True):
        for name in part:
            table.add_row(name, str(now.waiting[name]), _dead(now.dead.get(name)))
    grid.add_row(*halves)
    return grid


def troubles(report: Report, now: Readings) -> Iterator[str]:
    """Each in one sentence, with what helps."""
    if report.why:
        yield escape(report.why)
    for child in report.children:
        if child.state != "ready":
            yield f"{child.name} is {child.state}: {escape(child.said or 'see its log')}; make logs NAMES={child.name}"
    yield from _late(now.outboxes)
    for queue, number in now.dead.items():
        if number:
            yield f"{number} dead letters of {queue}; make dead-letters"
    if report.phase == "ready":
        yield from (f"{name} cannot read its database" for name in SERVICES if _blind(name, now))


def _late(outboxes: Mapping[str, Outbox]) -> Iterator[str]:
    for service, outbox in outboxes.items():
        if outbox.lag_s > LATE_S:
            yield f"{service} has not published for {outbox.lag_s:.0f} s; make logs NAMES='{service} rabbitmq'"


def _blind(service: str, now: Readings) -> bool:
    """Whether it is there, and cannot say how far its outbox is behind."""
    return service in now.traffic and service not in now.outboxes


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 1, 0, 0)
    )
    for name in columns:
        _column(table, name)
    return table


def _column(table: Table, name: str) -> None:
    """A column that is never cut; with a number sign before its name, of numbers."""
    table.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left", no_wrap=True)


def _dead(number: int | None) -> str:
    return "" if number is None else f"[red]{number}[/]" if number else "0"


def _age(seconds: float) -> str:
    """As 12s, 3m05s, 2h07m, 4d02h."""
    whole = int(seconds)
    for size, above, below in ((86400, "d", "h"), (3600, "h", "m"), (60, "m", "s")):
        if whole >= size:
            part = {"h": 3600, "m": 60, "s": 1}[below]
            return f"{whole // size}{above}{whole % size // part:02}{below}"
    return f"{whole}s"


def _size(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size else ""


def _memory(pid: int) -> int:
    """What a process and its children take, in bytes; shared pages are counted once."""
    if not pid:
        return 0
    try:
        process = psutil.Process(pid)
        return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])
    except (psutil.Error, ValueError):
        return 0
