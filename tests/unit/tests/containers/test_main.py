"""Steps of the container test on the command line."""

import pytest

from tests.containers.__main__ import STEPS, parse_steps


@pytest.mark.parametrize("steps", [[], ["pods"], ["compose", "pods"]])
def test_command_without_steps_runs_all(steps: list[str]) -> None:
    assert parse_steps(steps) == (steps or [*STEPS])


def test_unknown_step_is_rejected() -> None:
    with pytest.raises(SystemExit):
        parse_steps(["kubernetes"])
