"""Sample contract with every kind of field and method, compiled on demand."""

import importlib
import shutil
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

import yaml

import generated.proto
from codegen.contracts import Contracts
from codegen.mesh import MESH_FILE
from codegen.protobuf import ProtoContracts, load_protos
from codegen.rpc import messages, servicers
from services.runtime.rpc.contract_descriptors import get_descriptor_pool

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PORTS = {
    name: {"default": 1, "port": True, "about": "a port"}
    for name in ("OTLP_PORT", "GATEWAY_ADMIN_PORT", "GATEWAY_PROBE_PORT")
}
MESH = {"name": "sample", "trust_domain": "sample.local", "sidecars": ["gateway"], "settings": PORTS}
OPTIONS = Path("api-specs/proto/delivery/options/v1")


def compile_protos(root: Path, *names: str) -> ProtoContracts:
    """Compile protobuf files of this folder and the method options in a separate contract root."""
    (root / "envoy").mkdir()
    (root / MESH_FILE).write_text(yaml.safe_dump(MESH), encoding="utf-8")
    shutil.copy(ROOT / "buf.yaml", root)
    shutil.copytree(ROOT / OPTIONS, root / OPTIONS)
    for name in names:
        target = root / "api-specs/proto/sample" / name
        target.parent.mkdir(parents=True)
        shutil.copy(HERE / name, target)
    return load_protos(root)


def write_package(protos: ProtoContracts, folder: Path) -> None:
    """Write the messages as a package with its own message pool."""
    for file in messages.compile_messages(protos.descriptors).file:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")


@cache
def load_contracts() -> Contracts:
    """Return the sample contract."""
    return Contracts(openapi={}, protos=compile_protos(Path(mkdtemp()), "v1/sample.proto"), mesh=MESH)


@cache
def install() -> tuple[ModuleType, ModuleType]:
    """Add the sample to `generated.proto` and the runtime's descriptor pool; return its messages and `rpc` module."""
    folder = Path(mkdtemp())
    for name, content in (messages.generate(load_contracts()) | servicers.generate(load_contracts())).items():
        if name.startswith("proto/sample/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(content), encoding="utf-8")
    generated.proto.__path__.append(str(folder / "proto"))
    descriptors = load_contracts().protos.descriptors
    get_descriptor_pool().Add(next(file for file in descriptors.file if file.package == "sample.v1"))
    return importlib.import_module("generated.proto.sample.v1"), importlib.import_module(
        "generated.proto.sample.v1.rpc"
    )


def import_package(folder: Path, name: str) -> ModuleType:
    """Import a package that `write_package` wrote into `folder`."""
    sys.path.insert(0, str(folder.parent))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder.parent))
