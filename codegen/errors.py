"""Error of the generators."""


class ContractError(Exception):
    """The contracts contradict each other or a rule; the message names the place and the fix."""
