"""Collection of contract errors."""

import pytest

from codegen import __main__
from codegen.contracts import Files
from codegen.errors import ContractError, ContractErrors, map_all
from tests.unit.codegen.sample_contracts import create_contracts


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


def test_mapping_reports_the_errors_of_all_items() -> None:
    def double(number: int) -> int:
        if number > 2:
            raise ContractError(f"{number} is too large")
        return 2 * number

    assert map_all(double, [1, 2]) == [2, 4]
    with pytest.raises(ContractError) as caught:
        map_all(double, [1, 3, 2, 4])
    assert caught.value.messages == ("3 is too large", "4 is too large")


def test_run_reports_the_errors_of_all_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(message: str) -> Files:
        raise ContractError(message)

    generators = (lambda _: fail("a.yaml: first"), lambda _: {"a.txt": ""}, lambda _: fail("b.yaml: second"))
    monkeypatch.setattr(__main__, "GENERATORS", generators)
    with pytest.raises(ContractError) as caught:
        __main__.run_generators(create_contracts())
    assert caught.value.messages == ("a.yaml: first", "b.yaml: second")
