"""Maximum gaps between successful writes, by fault."""

import os
from collections.abc import Collection, Mapping

from deploy.cluster.machines import APP_MACHINES, DATA_MACHINES

FAILOVER_GAPS_S: Mapping[str, Mapping[str, float]] = {
    "postgres": {"postgres": 20, "orders": 20},
    "rabbitmq": {"rabbitmq": 10},
    "documents": {"documents": 15},
}
"""Maximum gaps of probes, in seconds, while another node takes over from a lost node of an engine."""

UNREACHABLE_APP_GAP_S = 10.0
"""Maximum gap of orders while an app machine is unreachable: calls in progress wait until a ping is not answered."""

UNAFFECTED_GAP_S = 2.0
"""Maximum gap of probes that a fault does not affect: the duration of slow writes with one process per processor.

With more runnable processes, a write takes longer in proportion, so that the maximum is multiplied, up to
MAX_UNAFFECTED_GAP_S.
"""

MAX_UNAFFECTED_GAP_S = 5.0

PROBES = ("postgres", "rabbitmq", "documents", "memcached", "orders")


def find_limits(kind: str, affected: Collection[str], load: float) -> dict[str, float]:
    """Return the maximum gap in seconds by probe, for affected processes or machines and a load average."""
    unaffected_gap_s = min(UNAFFECTED_GAP_S * max(1, load / (os.cpu_count() or 1)), MAX_UNAFFECTED_GAP_S)
    limits = dict.fromkeys(PROBES, unaffected_gap_s)
    for name in affected:
        machine, _, process = name.partition("-")
        if process:
            engines = [process]
        else:
            engines = [*FAILOVER_GAPS_S] if machine in {each.name for each in DATA_MACHINES} else []
        for engine in engines:
            limits |= FAILOVER_GAPS_S.get(engine, {})
        if kind in ("partition", "skew") and machine in {each.name for each in APP_MACHINES}:
            limits["orders"] = UNREACHABLE_APP_GAP_S
    return limits
