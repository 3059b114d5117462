"""Written by `make generate` from envoy/mesh.yaml and api-specs/observability.yaml. Do not edit."""

from pathlib import Path

NAME = "delivery"
"""Name of the mesh: prefix of its metrics, and name of its virtual host."""

OBSOLETE_QUEUES: tuple[str, ...] = ("notifications.agents",)
"""Queues of earlier releases that no consumer uses; their service deletes them."""

SPAN_PARAMETERS: frozenset[str] = frozenset(["bank_id", "order_id", "partner_id", "product_id"])
"""Path parameters recorded as span attributes, to search traces by. None of them identifies a user."""

FOLDER = Path(__file__).parent
"""Folder of the generated files."""
