import inspect
from pathlib import Path

import pytest

from codegen.contracts import ContractError
from codegen.protobuf import load_protos
from codegen.rpc import messages, servicers
from services.runtime.rpc.method import Idempotency
from tests import sample

MESSAGES, MODULE = sample.install()


def changed(root: Path, old: str, new: str) -> Path:
    """The sample contract with one place of its text changed."""
    sample.compile_protos(root, "v1/sample.proto")
    proto = root / "api-specs/proto/sample/v1/sample.proto"
    assert old in proto.read_text()
    proto.write_text(proto.read_text().replace(old, new))
    return root


def test_the_table_says_what_the_options_say() -> None:
    echo, who_am_i, count = MODULE.EchoServicer.METHODS

    assert echo.path == "/sample.v1.EchoService/Echo"
    assert echo.callers == ("gateway", "orders")
    assert (echo.timeout_s, echo.attempts, echo.idempotency) == (2.5, 3, Idempotency.NO_SIDE_EFFECTS)
    assert (echo.request, echo.response) == (MESSAGES.EchoRequest, MESSAGES.EchoResponse)
    assert (who_am_i.actor_required, who_am_i.attempts) == (True, 1)
    assert who_am_i.idempotency is Idempotency.IDEMPOTENCY_UNKNOWN
    assert (count.server_streaming, count.timeout_s) == (True, None)


def test_only_methods_for_a_user_take_the_principal() -> None:
    servicer = MODULE.EchoServicer

    assert list(inspect.signature(servicer.who_am_i).parameters) == ["self", "request", "principal"]
    assert list(inspect.signature(servicer.echo).parameters) == ["self", "request"]


def test_comments_become_docstrings() -> None:
    expected = 'Return the text.\nRaises ApiError: ORDER_NOT_FOUND, with a "reason".'

    assert inspect.getdoc(MODULE.EchoServicer.echo) == expected
    assert inspect.getdoc(MODULE.EchoStub.echo) == expected
    assert inspect.getdoc(MODULE.EchoServicer) == "Every kind of RPC method."


def test_a_servicer_with_a_method_left_out_cannot_be_instantiated() -> None:
    class Half(MODULE.EchoServicer):  # type: ignore[misc, name-defined]
        async def echo(self, request: object) -> object:
            return request

    with pytest.raises(TypeError, match=r"count.*who_am_i"):
        Half()


def test_generation_is_deterministic() -> None:
    contracts = sample.load_contracts()

    assert messages.generate(contracts) == messages.generate(contracts)
    assert servicers.generate(contracts) == servicers.generate(contracts)


def test_options_are_not_generated_as_messages() -> None:
    names = messages.generate(sample.load_contracts())

    assert not [name for name in names if "options" in name or "descriptor.py" in name]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "    option idempotency_level = NO_SIDE_EFFECTS;\n    option (delivery",
            "    option (delivery",
            "tried 3 times",
        ),
        ("timeout: {seconds: 1}", "", "WhoAmI has no timeout"),
        ("option (delivery.options.v1.method) = {callers: [CALLER_GATEWAY]};", "", "Count has no option"),
        ("rpc Count(CountRequest)", "rpc Count(stream CountRequest)", "Count streams requests"),
        ("string text = 1;", "strin text = 1;", "strin"),
    ],
)
def test_a_contract_that_breaks_a_rule_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        load_protos(changed(tmp_path, old, new))


def test_two_methods_with_one_name_are_refused(tmp_path: Path) -> None:
    second = "// Again.\nservice OtherService {\n  // Again.\n  rpc Count(CountRequest) returns (CountResponse) {\n"
    second += (
        "    option (delivery.options.v1.method) = {timeout: {seconds: 1}};\n  }\n}\n\n"
        "// Text to return.\nmessage EchoRequest"
    )
    protos = load_protos(changed(tmp_path, "// Text to return.\nmessage EchoRequest", second))

    with pytest.raises(ContractError, match="would both be COUNT"):
        servicers.render_module(list(protos.services), lambda method: {}, frozenset())
