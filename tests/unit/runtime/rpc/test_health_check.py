"""Command of the health check: its socket and its exit code."""

import socket
from pathlib import Path

import pytest

from services.runtime.rpc import health_check


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the checked targets; only `unix:/healthy` is serving."""
    checked: list[str] = []

    def is_serving(target: str, timeout: float) -> bool:
        assert timeout == health_check.COMMAND_TIMEOUT_S
        checked.append(target)
        return target == "unix:/healthy"

    monkeypatch.setattr(health_check, "is_serving", is_serving)
    for name in ("HEALTH_SOCKET", "SERVICE_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return checked


@pytest.mark.parametrize(
    ("arguments", "variables", "target"),
    [
        (["/a"], {"HEALTH_SOCKET": "/b", "SERVICE_SOCKET": "/c"}, "unix:/a"),
        ([], {"HEALTH_SOCKET": "/b", "SERVICE_SOCKET": "/c"}, "unix:/b"),
        ([], {"HEALTH_SOCKET": "", "SERVICE_SOCKET": "/c"}, "unix:/c"),
        ([], {"SERVICE_SOCKET": "/c"}, "unix:/c"),
    ],
)
def test_socket_is_argument_or_variable(
    monkeypatch: pytest.MonkeyPatch,
    targets: list[str],
    arguments: list[str],
    variables: dict[str, str],
    target: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["health_check", *arguments])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert health_check.main() == 1
    assert targets == [target]


@pytest.mark.parametrize(("path", "code"), [("/healthy", 0), ("/unhealthy", 1)])
def test_exit_code_is_0_only_when_serving(
    monkeypatch: pytest.MonkeyPatch, targets: list[str], path: str, code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["health_check", path])
    assert health_check.main() == code
    assert targets == [f"unix:{path}"]


def test_missing_socket_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, targets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["health_check"])
    assert health_check.main() == 2
    assert "set HEALTH_SOCKET or SERVICE_SOCKET" in capsys.readouterr().err
    assert targets == []


@pytest.mark.parametrize("is_bound", [False, True])
def test_socket_without_server_is_not_serving(tmp_path: Path, is_bound: bool) -> None:
    path = tmp_path / "service.sock"
    with socket.socket(socket.AF_UNIX) as stale_socket:
        if is_bound:
            stale_socket.bind(str(path))
    assert not health_check.is_serving(f"unix:{path}", timeout=1)


def test_unresponsive_server_is_not_serving_after_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert not health_check.is_serving(f"unix:{path}", timeout=0.05)
