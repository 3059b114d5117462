"""What stops a generator."""


class ContractError(Exception):
    """The contracts disagree with each other or with our rules; the message says where, and what to do."""
