"""Assertions on the result of the user journey in `journey.mjs`."""

from typing import Any


def assert_journey_result(result: dict[str, Any]) -> None:
    """Assert that each version arrived once and in order across the interruption, and that the request was replayed."""
    assert [event["status"] for event in result["events"]] == ["pending", "paid", "cancelled"]
    versions = [event["id"] for event in result["events"]]
    assert versions == list(range(versions[0], versions[0] + 3))
    assert len(result["lastEventIds"]) == 2
    assert result["lastEventIds"][0] is None
    assert int(result["lastEventIds"][1]) in versions
    assert result["replayed"] == "true"
    assert result["isSameOrder"] is True
