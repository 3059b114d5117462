import resource
import subprocess
import sys

from tests.conftest import ROOT

ASK = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
from services.runtime.process.cli import _open_as_many_as_allowed
_open_as_many_as_allowed()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_service_opens_as_many_files_as_it_may() -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    asked = [sys.executable, "-c", ASK.format(hard=hard)]
    said = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == [str(hard), str(hard)]
