"""The compiled TypeScript client in Node: journey through the edge from sign-in to the final status of an order."""

import json

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.conftest import Mesh, shift_port
from tests.typescript.journeys import assert_journey_result
from tests.typescript_client import compile_client, run_node


def test_client_journey_in_node(mesh: Mesh) -> None:
    completed = run_node(
        "tests/typescript/node.mjs",
        CLIENT=str(compile_client()),
        BASE_URL=f"https://127.0.0.1:{shift_port(4443)}/api/v1",
        NODE_EXTRA_CA_CERTS=str(mesh.state_dir / "pki/ca.pem"),
        SANDBOX=mesh.sandbox_url,
        EMAIL="customer@delivery.test",
        PASSWORD=DEMO_PASSWORD,
    )
    assert completed.returncode == 0, completed.stderr
    assert_journey_result(json.loads(completed.stdout))
