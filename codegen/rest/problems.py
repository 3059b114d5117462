"""The catalogue of reasons that errors have, from `x-problems` of the public API."""

from codegen.contracts import Contracts, Files


def generate(contracts: Contracts) -> Files:
    """`generated/problems.py`."""
    catalogue = contracts.openapi["delivery"]["x-problems"]
    reasons = "".join(f"    {reason} = {reason!r}\n" for reason in catalogue)
    rows = "".join(
        f"    Reason.{reason}: Problem({entry['status']}, {entry['grpc']!r}, {entry['title']!r}, {entry['description']!r}),\n"
        for reason, entry in catalogue.items()
    )
    return {
        "problems.py": f'''"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why an error came: a stable word to program against."""

{reasons}

class Problem(NamedTuple):
    """What a reason means: its HTTP status, the gRPC code it travels by, and what its page says."""

    status: int
    grpc: str
    title: str
    description: str


PROBLEMS: dict[Reason, Problem] = {{
{rows}}}
'''
    }
