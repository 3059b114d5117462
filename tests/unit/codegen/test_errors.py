"""Collection of contract errors."""

import pytest

from codegen.errors import ContractError, ContractErrors


def test_collector_without_errors_raises_nothing() -> None:
    errors = ContractErrors()
    with errors.collect():
        pass
    errors.raise_if_any()


def test_collector_raises_different_messages_in_order() -> None:
    errors = ContractErrors()
    errors.add("b.yaml: second")
    for messages in (("a.yaml: first", "b.yaml: second"), ("c.yaml: third",)):
        with errors.collect():
            raise ContractError(*messages)
    with pytest.raises(ContractError) as caught:
        errors.raise_if_any()
    assert caught.value.messages == ("b.yaml: second", "a.yaml: first", "c.yaml: third")
    assert str(caught.value) == "b.yaml: second\na.yaml: first\nc.yaml: third"


def test_collector_propagates_other_errors() -> None:
    with pytest.raises(KeyError), ContractErrors().collect():
        raise KeyError("not a contract error")
