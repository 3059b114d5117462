"""Services of the protobuf files that have no process."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from codegen import __main__
from codegen.errors import ContractError
from codegen.mesh_services import check_services
from codegen.protobuf import Event, ProtoContracts, Service
from tests.unit.codegen.sample_contracts import create_contracts, create_event, create_method, create_service

MESH = {"name": "delivery", "sidecars": ["gateway", "notes", "ops"]}


def create_protos(*services: Service, event: Event) -> ProtoContracts:
    return ProtoContracts(FileDescriptorSet(), DescriptorPool(), services, (event,), ("gateway", "notes", "points"))


def test_services_of_the_mesh_are_accepted() -> None:
    event = create_event("NoteLeft", producer="notes", subscribers=("gateway",))
    check_services(create_protos(create_service("notes", create_method("GetNote")), event=event), MESH)


def test_services_without_a_process_are_reported_together() -> None:
    services = [create_service(name, create_method("GetNote", name)) for name in ("gateway", "notes", "points")]
    event = create_event("NoteLeft", producer="points", subscribers=("gateway", "ops"))
    with pytest.raises(ContractError) as raised:
        check_services(create_protos(*services, event=event), MESH)
    package = "has no process, because its package is not delivery.notes.v1"
    services_of_mesh = "is no service of the mesh; use one of gateway, notes"
    assert [message.partition("; add")[0] for message in raised.value.messages] == [
        f"delivery.gateway.v1.GatewayService {package}",
        f"delivery.points.v1.PointsService {package}",
        f"delivery.events.v1.NoteLeft: the producer points {services_of_mesh}",
        f"delivery.events.v1.NoteLeft: the subscriber ops {services_of_mesh}",
    ]


def test_generation_with_a_service_without_a_process_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "GENERATORS", ())
    with pytest.raises(ContractError, match=r"delivery\.points\.v1\.PointsService has no process"):
        __main__.run_generators(create_contracts(create_service("points", create_method("GetNote", "points"))))
