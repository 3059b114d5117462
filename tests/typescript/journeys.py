"""What a journey through the client must have seen, wherever it was made."""

from typing import Any


def arrived(seen: dict[str, Any]) -> None:
    """Every version once and in order over a connection that was cut; the repeated request was known."""
    assert [step["status"] for step in seen["told"]] == ["pending", "paid", "cancelled"]
    versions = [step["id"] for step in seen["told"]]
    assert versions == list(range(versions[0], versions[0] + 3))
    assert len(seen["asked"]) == 2
    assert seen["asked"][0] is None
    assert int(seen["asked"][1]) in versions
    assert seen["replayed"] == "true"
    assert seen["same"] is True
