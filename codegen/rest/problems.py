"""Generator of the catalogue of error reasons from `x-problems` of the public API."""

from codegen.contracts import Contracts, Files


def generate(contracts: Contracts) -> Files:
    """Generate `problems.py`."""
    catalogue = contracts.openapi[contracts.name]["x-problems"]
    reasons = "".join(f"    {reason} = {reason!r}\n" for reason in catalogue)
    rows = "".join(
        f"    Reason.{reason}: Problem("
        f"{entry['status']}, {entry['grpc']!r}, {entry['title']!r}, {entry['description']!r}, "
        f"{entry['detail']!r}, {entry.get('detail_with_values', {})!r}"
        "),\n"
        for reason, entry in catalogue.items()
    )
    return {
        "problems.py": f'''"""Written by `make generate` from api-specs/openapi/{contracts.name}.yaml. Do not edit."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Stable machine-readable error code."""

{reasons}

class Problem(NamedTuple):
    """HTTP status, gRPC status code, title and description of a reason, and detail for users by language.

    `detail_with_values` has placeholders for members of the problem document.
    """

    status: int
    grpc: str
    title: str
    description: str
    detail: Mapping[str, str]
    detail_with_values: Mapping[str, str]


PROBLEMS: dict[Reason, Problem] = {{
{rows}}}
'''
    }
