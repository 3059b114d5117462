import inspect
from pathlib import Path

import pytest

from codegen import contracts
from codegen.contracts import ContractError
from codegen.protobuf import load_protos
from codegen.rpc import messages, servicers
from services.runtime.rpc.method import Idempotency
from tests import sample
from tests.conftest import ROOT

MESSAGES, MODULE = sample.install()


def with_replacement(root: Path, old: str, new: str) -> Path:
    """Write the sample contract with one replacement and return its root."""
    sample.compile_protos(root, "v1/sample.proto")
    proto = root / "api-specs/proto/sample/v1/sample.proto"
    assert old in proto.read_text(encoding="utf-8")
    proto.write_text(proto.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return root


def test_method_table_matches_options() -> None:
    echo, who_am_i, count = MODULE.EchoServicer.METHODS

    assert echo.path == "/sample.v1.EchoService/Echo"
    assert echo.callers == ("gateway", "orders")
    assert (echo.timeout_s, echo.max_attempts, echo.idempotency) == (2.5, 3, Idempotency.NO_SIDE_EFFECTS)
    assert (echo.request, echo.response) == (MESSAGES.EchoRequest, MESSAGES.EchoResponse)
    assert (who_am_i.actor_required, who_am_i.max_attempts) == (True, 1)
    assert who_am_i.idempotency is Idempotency.IDEMPOTENCY_UNKNOWN
    assert (count.server_streaming, count.timeout_s) == (True, None)


def test_only_methods_with_actor_have_principal() -> None:
    servicer = MODULE.EchoServicer

    assert list(inspect.signature(servicer.who_am_i).parameters) == ["self", "request", "principal"]
    assert list(inspect.signature(servicer.echo).parameters) == ["self", "request"]


def test_comments_become_docstrings() -> None:
    expected = 'Return the text.\nRaises ApiError: ORDER_NOT_FOUND, with a "reason".'

    assert inspect.getdoc(MODULE.EchoServicer.echo) == expected
    assert inspect.getdoc(MODULE.EchoStub.echo) == expected
    assert inspect.getdoc(MODULE.EchoServicer) == "Every kind of RPC method."


def test_incomplete_servicer_cannot_be_instantiated() -> None:
    class Incomplete(MODULE.EchoServicer):  # type: ignore[misc, name-defined]
        async def echo(self, request: object) -> object:
            return request

    with pytest.raises(TypeError, match=r"count.*who_am_i"):
        Incomplete()


def test_generation_is_deterministic() -> None:
    contracts = sample.load_contracts()

    assert messages.generate(contracts) == messages.generate(contracts)
    assert servicers.generate(contracts) == servicers.generate(contracts)


def test_options_are_not_generated_as_messages() -> None:
    names = messages.generate(sample.load_contracts())

    assert not [name for name in names if "options" in name or "descriptor.py" in name]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    option idempotency_level = NO_SIDE_EFFECTS;\n    option (delivery",
            "    option (delivery",
            "has 3 attempts",
        ),
        ("timeout: {seconds: 1}", "", "WhoAmI has no timeout"),
        ("option (delivery.options.v1.method) = {callers: [CALLER_GATEWAY]};", "", "Count has no option"),
        ("rpc Echo(EchoRequest)", "rpc Echo(stream EchoRequest)", "a stream of requests cannot be repeated"),
        ("string text = 1;", "strin text = 1;", "strin"),
    ],
)
def test_invalid_contract_is_rejected(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        load_protos(with_replacement(tmp_path, old, new))


def test_duplicate_method_names_are_rejected(tmp_path: Path) -> None:
    second = "// Again.\nservice OtherService {\n  // Again.\n  rpc Count(CountRequest) returns (CountResponse) {\n"
    second += (
        "    option (delivery.options.v1.method) = {timeout: {seconds: 1}};\n  }\n}\n\n"
        "// Text to return.\nmessage EchoRequest"
    )
    root = with_replacement(tmp_path, "// Text to return.\nmessage EchoRequest", second)

    with pytest.raises(ContractError, match=r"Count and OtherService\.Count have the same Python name COUNT"):
        load_protos(root)


def test_responses_with_replayed_field_may_be_pre_encoded() -> None:
    repository = contracts.load(ROOT)

    assert servicers.list_replayed_responses(repository) == {
        "delivery.notifications.v1.CreateAgentResponse",
        "delivery.orders.v1.CreateBankResponse",
        "delivery.orders.v1.CreateOrderResponse",
        "delivery.orders.v1.RotateBankSecretResponse",
        "delivery.partners.v1.CreatePartnerResponse",
        "delivery.partners.v1.CreateProductResponse",
        "delivery.partners.v1.RotatePartnerSecretResponse",
    }
    text = str(servicers.generate(repository)["proto/delivery/orders/v1/rpc.py"])
    assert "-> CreateOrderResponse | PreEncoded[CreateOrderResponse]:" in text
    assert "-> GetOrderResponse:" in text
