import resource
import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
from services.runtime.process.cli import _raise_open_file_limit
_raise_open_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_open_file_limit_is_raised_to_hard_limit() -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    command = [sys.executable, "-c", SCRIPT.format(hard=hard)]
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert result.stdout.split() == [str(hard), str(hard)]
