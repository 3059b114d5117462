"""Check that the protobuf files name only services that have a process in the mesh."""

from collections.abc import Iterator, Mapping
from typing import Any

from codegen.errors import ContractError
from codegen.mesh import list_callees, list_services
from codegen.protobuf import Event, ProtoContracts, Service


def check_services(protos: ProtoContracts, mesh: Mapping[str, Any]) -> None:
    """Raise ContractError for each service, producer and subscriber without a process."""
    packages = {f"{mesh['name']}.{service}.v1": service for service in list_callees(mesh)}
    services = list_services(mesh)
    errors = [
        *(_format_unknown_service(service, packages) for service in protos.services if service.package not in packages),
        *(error for event in protos.events for error in _iter_unknown_processes(event, services)),
    ]
    if errors:
        raise ContractError(*(error.removeprefix(": ") for error in errors))


def _format_unknown_service(service: Service, packages: Mapping[str, str]) -> str:
    return (
        f"{service.location}: {service.full_name} has no process, because its package is not"
        f" {' or '.join(packages)}; add a process with `make service NAME=…`, or move the service"
    )


def _iter_unknown_processes(event: Event, services: list[str]) -> Iterator[str]:
    for role, names in (("producer", [event.producer]), ("subscriber", event.subscribers)):
        for name in names:
            if name not in services:
                yield (
                    f"{event.location}: {event.message}: the {role} {name} is no service of the mesh;"
                    f" use one of {', '.join(services)}"
                )
