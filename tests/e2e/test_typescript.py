"""The compiled TypeScript client in Node, through the edge: from the sign-in to the end of an order."""

import json

from deploy.local.scenarios import PASSWORD
from tests.conftest import Mesh, port
from tests.javascript import compiled, node
from tests.typescript.journeys import arrived


def test_a_journey_in_node(mesh: Mesh) -> None:
    done = node(
        "tests/typescript/node.mjs",
        CLIENT=str(compiled()),
        BASE_URL=f"https://127.0.0.1:{port(4443)}/api/v1",
        NODE_EXTRA_CA_CERTS=str(mesh.state / "pki/ca.pem"),
        SANDBOX=mesh.sandbox,
        EMAIL="customer@delivery.test",
        PASSWORD=PASSWORD,
    )
    assert done.returncode == 0, done.stderr
    arrived(json.loads(done.stdout))
