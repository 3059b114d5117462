"""Retry policies of calls between sidecars."""

import pytest

from codegen.envoy.retries import UNSENT_CONDITIONS, build_retry_policy
from tests.unit.codegen.sample_contracts import create_method


@pytest.mark.parametrize(("attempts", "retries"), [(2, 1), (3, 2)])
def test_first_attempt_is_no_retry(attempts: int, retries: int) -> None:
    assert build_retry_policy(create_method("GetNote", attempts=attempts))["num_retries"] == retries


def test_method_with_one_attempt_is_retried_only_if_it_was_not_sent() -> None:
    policy = build_retry_policy(create_method("AddNote", attempts=1))
    assert {*policy["retry_on"].split(",")} == UNSENT_CONDITIONS
    assert not UNSENT_CONDITIONS & {"unavailable", "reset", "5xx", "gateway-error"}


@pytest.mark.parametrize("attempts", [1, 3])
def test_retry_prefers_an_instance_without_a_previous_attempt(attempts: int) -> None:
    policy = build_retry_policy(create_method("GetNote", attempts=attempts))
    (predicate,) = policy["retry_host_predicate"]
    assert predicate["name"] == "envoy.retry_host_predicates.previous_hosts"
    assert policy["host_selection_retry_max_attempts"] > 1
