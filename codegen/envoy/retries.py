"""Retries of calls by the caller's sidecar, on another instance of the called service if there is one."""

from codegen.envoy.common import Config, build_extension
from codegen.protobuf import Method

IDEMPOTENT_CONDITIONS = frozenset({"unavailable", "connect-failure", "refused-stream", "reset"})
"""Conditions for calls that may have been executed."""

UNSENT_CONDITIONS = frozenset({"connect-failure", "refused-stream", "reset-before-request"})
"""Conditions that imply that the instance has not received the call, so that any method may be retried."""

UNSENT_RETRIES = 2
MAX_HOST_SELECTIONS = 3
"""Number of times that an instance other than those of the previous attempts is searched for."""


def build_retry_policy(method: Method) -> Config:
    """Return the retry policy: only an idempotent method is retried after an instance has received the call."""
    is_retried = method.attempts > 1
    predicate = build_extension(
        "envoy.retry_host_predicates.previous_hosts", "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    )
    return {
        "retry_on": ",".join(sorted(IDEMPOTENT_CONDITIONS if is_retried else UNSENT_CONDITIONS)),
        "num_retries": method.attempts - 1 if is_retried else UNSENT_RETRIES,
        "retry_host_predicate": [predicate],
        "host_selection_retry_max_attempts": MAX_HOST_SELECTIONS,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
    }
