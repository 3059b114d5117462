"""Methods, events and comments of compiled protobuf packages, and violations injected into the descriptors."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto

from codegen.contracts import ContractError, Contracts
from codegen.protobuf import Method, ProtoContracts, parse_image
from tests import sample
from tests.unit.codegen.proto_rules.proto_files import compile_files, render_file
from tests.unit.codegen.sample_contracts import create_event, create_method


@pytest.fixture(scope="module")
def protos() -> ProtoContracts:
    return sample.load_contracts().protos


def find_method(protos: ProtoContracts, name: str) -> Method:
    (method,) = (method for service in protos.services for method in service.methods if method.name == name)
    return method


def change_file(protos: ProtoContracts, change: Callable[[FileDescriptorProto], object]) -> bytes:
    """Return the compiled image with a change of the file of the package `sample.v1`."""
    descriptors = FileDescriptorSet()
    descriptors.CopyFrom(protos.descriptors)
    change(next(file for file in descriptors.file if file.package == "sample.v1"))
    return descriptors.SerializeToString()


def test_method_has_the_policy_of_its_option(protos: ProtoContracts) -> None:
    assert find_method(protos, "Echo") == Method(
        service="sample.v1.EchoService",
        name="Echo",
        comment='Return the text.\nRaises ApiError: ORDER_NOT_FOUND, with a "reason".',
        request="sample.v1.EchoRequest",
        response="sample.v1.EchoResponse",
        server_streaming=False,
        idempotency="NO_SIDE_EFFECTS",
        callers=("gateway", "orders"),
        actor_required=False,
        timeout_s=2.5,
        attempts=3,
    )


def test_absent_attempts_mean_a_single_attempt(protos: ProtoContracts) -> None:
    assert find_method(protos, "WhoAmI").attempts == 1


def test_stream_may_omit_the_timeout(protos: ProtoContracts) -> None:
    method = find_method(protos, "Count")
    assert (method.server_streaming, method.timeout_s) == (True, None)


def test_service_has_package_comment_and_methods_in_file_order(protos: ProtoContracts) -> None:
    service, _ = protos.services
    assert (service.full_name, service.package, service.name) == ("sample.v1.EchoService", "sample.v1", "EchoService")
    assert service.comment == "Every kind of RPC method."
    assert [method.name for method in service.methods] == ["Echo", "WhoAmI", "Count"]


def test_callers_are_lower_case_without_unspecified(protos: ProtoContracts) -> None:
    assert {"gateway", "orders"} <= set(protos.callers)
    assert "unspecified" not in protos.callers


def test_pool_contains_messages_of_all_files(protos: ProtoContracts) -> None:
    assert protos.pool.FindMessageTypeByName("sample.v1.AllFields").fields_by_name["mood"].number == 16


def test_event_has_the_policy_of_its_option(repository_contracts: Contracts) -> None:
    by_type = {event.type: event for event in repository_contracts.protos.events}
    paid = by_type["orders.paid"]
    assert (paid.message, paid.producer) == ("delivery.events.v1.OrderPaid", "orders")
    assert paid.queues
    assert paid.subject
    assert paid.comment
    assert len(by_type) == len(repository_contracts.protos.events)


def test_messages_without_option_are_no_events(protos: ProtoContracts) -> None:
    assert protos.events == ()


def test_path_is_the_http2_path() -> None:
    assert create_method("GetNote").path == "/delivery.notes.v1.NotesService/GetNote"


@pytest.mark.parametrize(
    ("idempotency", "is_idempotent"),
    [("NO_SIDE_EFFECTS", True), ("IDEMPOTENT", True), ("IDEMPOTENCY_UNKNOWN", False)],
)
def test_only_declared_methods_are_idempotent(idempotency: str, is_idempotent: bool) -> None:
    assert create_method("GetNote", idempotency=idempotency).is_idempotent == is_idempotent


@pytest.mark.parametrize(
    ("priority_queue", "all_queues"),
    [("", ("archive.history",)), ("archive.urgent", ("archive.history", "archive.urgent"))],
)
def test_all_queues_include_the_priority_queue(priority_queue: str, all_queues: tuple[str, ...]) -> None:
    assert create_event("Added", priority_queue=priority_queue).all_queues == all_queues


def echo(file: FileDescriptorProto) -> MethodDescriptorProto:
    return file.service[0].method[0]


def count(file: FileDescriptorProto) -> MethodDescriptorProto:
    return file.service[0].method[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: echo(file).ClearField("options"), r"EchoService\.Echo has no option"),
        (lambda file: setattr(echo(file), "client_streaming", True), "Echo has 3 attempts, but a stream of requests"),
        (lambda file: echo(file).options.ClearField("idempotency_level"), "has 3 attempts, but its idempotency_level"),
        (lambda file: setattr(count(file), "server_streaming", False), "Count has no timeout; only a stream"),
    ],
    ids=["no option", "client streaming", "retry of unsafe method", "no timeout"],
)
def test_invalid_method_raises_contract_error(
    protos: ProtoContracts, change: Callable[[FileDescriptorProto], object], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        parse_image(change_file(protos, change))


def test_image_without_comments_is_parsed(protos: ProtoContracts) -> None:
    parsed = parse_image(change_file(protos, lambda file: file.ClearField("source_code_info")))
    assert find_method(parsed, "Echo").comment == ""


def test_older_image_is_read_with_the_current_options(protos: ProtoContracts) -> None:
    """The released image may define fewer callers than the current options."""
    descriptors = FileDescriptorSet.FromString(protos.descriptors.SerializeToString())
    options = next(file for file in descriptors.file if file.package == "delivery.options.v1")
    (callers,) = (enum for enum in options.enum_type if enum.name == "Caller")
    for value in callers.value:
        value.name = value.name.replace("CALLER_ORDERS", "CALLER_FORMER")
    older = descriptors.SerializeToString()
    assert find_method(parse_image(older), "Echo").callers == ("gateway", "former")
    assert find_method(parse_image(older, protos.pool), "Echo").callers == ("gateway", "orders")


@pytest.mark.parametrize("timeout", ["{nanos: 1}", "{seconds: -1}", "{}", "{seconds: 9223372036854775807}"])
def test_timeout_that_no_proxy_measures_raises_contract_error(tmp_path: Path, timeout: str) -> None:
    option = f"{{ option (delivery.options.v1.method) = {{callers: [CALLER_GATEWAY] timeout: {timeout}}}; }}"
    text = render_file("delivery.notes.v1", f"message A {{}} service S {{ rpc M(A) returns (A) {option} }}")
    with pytest.raises(ContractError, match="a timeout that is not between one millisecond and one year"):
        parse_image(compile_files(tmp_path, {"a.proto": text}))
