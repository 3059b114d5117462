"""Reader of the YAML files with a fixed structure, such as `envoy/mesh.yaml`, with the line of each error."""

from pathlib import Path

import msgspec

from codegen.errors import ContractError
from codegen.yaml_input import Document, build_pointer, read_document


def read_mapping(root: Path, name: str) -> Document:
    """Read a file whose content is a mapping; `name` is relative to `root`.

    Raises ContractError if the file is missing, is no YAML, or has another content.
    """
    path = root / name
    if not path.is_file():
        raise ContractError(f"{name} is missing; write it, as in docs/own-contracts.md")
    document = read_document(root, path)
    if not isinstance(document.content, dict):
        raise ContractError(f"{name}:1: the content is no mapping; write keys with values")
    return document


def convert_document[T](document: Document, kind: type[T]) -> T:
    """Return the content as a value of the type. Raises ContractError with the place of a value of another type."""
    try:
        return msgspec.convert(document.content, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        place = path.strip("`").removeprefix("$").removeprefix(".")
        # The path does not contain the keys of mappings, so that the line may be that of a parent.
        pointer = build_pointer(*place.replace("[", ".").replace("]", "").split(".")) if place else ""
        where = f" at {place}" if place else ""
        raise ContractError(f"{document.format_location(pointer)}: {problem}{where}; correct the value") from error
