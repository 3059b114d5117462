"""Output of a whole process, libraries and crashes included: every line is one JSON object."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PREAMBLE = """
import asyncio, logging, sys, threading, warnings
from services.runtime.telemetry import process_output
process_output.capture("orders")
"""
OUTPUTS = {
    "crash": "raise ValueError('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')",
    "thread": "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()",
    "task": "async def run():\n    asyncio.create_task(asyncio.sleep(-1, 1 / 1)).add_done_callback(lambda _: 1 / 0)\n"
    "    await asyncio.sleep(0.01)\nasyncio.run(run())",
    "warning": "warnings.warn('old\\nAPI', DeprecationWarning)\nwarnings.warn('bad input')",
    "finaliser": "class A:\n    def __del__(self):\n        raise OSError('x')\na = A()\ndel a",
    "exit": "sys.exit('two\\nlines')",
    "stderr": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
    "print('without newline', end='', file=sys.stderr)",
    "invalid_record": "logging.error('%d', 'x')",
    "unserialisable": "logging.error('lone \\ud800')",
    "grpc": "import grpc\nfrom concurrent import futures\nserver = grpc.server(futures.ThreadPoolExecutor(1))\n"
    "try:\n    server.add_insecure_port('999.999.999.999:1')\nexcept RuntimeError as error:\n    logging.error(error)",
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_line_of_a_process_is_one_json_object(output: str) -> None:
    code = PREAMBLE + OUTPUTS[output]
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment,
        check=False,
    )
    lines = (process.stdout + process.stderr).splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries
    assert all({"time", "level", "service", "logger", "message"} <= entry.keys() for entry in entries)
    assert "whsec_M" not in process.stdout
