"""Check that generated models mean the same as their schemas: properties, values of enums, and defaults."""

import sys
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

import msgspec

from codegen.contracts import Contracts
from codegen.errors import ContractErrors
from codegen.openapi.names import get_class_name
from codegen.openapi.schemas import COMBINATIONS, Schema, list_types

MODULE_NAME = "_checked_models"
REMEDY = "simplify the schema, or split it into named ones"


def check_models(contracts: Contracts, api: str, schemas: dict[str, Schema], text: str, patches: set[str]) -> None:
    """Import the source of the models, and compare each with its schema; `patches` have no defaults.

    Raises ContractError with all differences.
    """
    errors = ContractErrors()
    module = ModuleType(MODULE_NAME)
    sys.modules[MODULE_NAME] = module
    try:
        exec(compile(text, MODULE_NAME, "exec"), module.__dict__)  # noqa: S102 (the source is generated)
        for name, schema in schemas.items():
            for problem in _find_problems(contracts, api, name, schema, module, has_defaults=name not in patches):
                location = contracts.format_location(api, "components", "schemas", name)
                errors.add(f"{location}: {problem}; {REMEDY}")
    except (SyntaxError, NameError, TypeError, ValueError) as error:
        errors.add(f"{contracts.format_location(api, 'components')}: the models cannot be imported: {error}; {REMEDY}")
    finally:
        del sys.modules[MODULE_NAME]
    errors.raise_if_any()


def _find_problems(
    contracts: Contracts, api: str, name: str, schema: Schema, module: ModuleType, *, has_defaults: bool
) -> Iterator[str]:
    model = getattr(module, get_class_name(name), None)
    if model is None:
        yield f"the schema has no class {get_class_name(name)}"
        return
    try:
        msgspec.json.Decoder(model)
    except (TypeError, ValueError, NameError, RecursionError) as error:
        yield f"the model cannot be decoded ({str(error).partition(chr(10))[0]})"
        return
    if "enum" in schema:
        yield from _compare_values(name, [value for value in schema["enum"] if value is not None], model)
    elif schema.get("properties") and not any(key in schema for key in COMBINATIONS):
        yield from _compare_fields(contracts, api, schema, model, has_defaults=has_defaults)


def _compare_values(name: str, values: list[Any], model: Any) -> Iterator[str]:
    members = getattr(model, "__value__", model)
    enums = [each for each in getattr(members, "__args__", (members,)) if isinstance(each, type)]
    present = [member.value for each in enums if issubclass(each, Enum) for member in each]
    if present != values:
        yield f"the enum of {name} has other values"


def _compare_fields(contracts: Contracts, api: str, schema: Schema, model: Any, *, has_defaults: bool) -> Iterator[str]:
    if not (isinstance(model, type) and issubclass(model, msgspec.Struct)):
        yield "the model of the object has no fields"
        return
    tag = model.__struct_config__.tag_field
    fields = {field.encode_name: field for field in msgspec.structs.fields(model)}
    if different := (fields.keys() | ({tag} if tag else set())) ^ schema["properties"].keys():
        yield f"the model has other properties ({', '.join(sorted(different))})"
        return
    for name, declared in schema["properties"].items():
        if name == tag:
            continue
        resolved = contracts.resolve_reference(api, declared) if isinstance(declared, dict) else {}
        default = {**resolved, **(declared if isinstance(declared, dict) else {})}.get("default", msgspec.UNSET)
        is_required = name in schema.get("required", ())
        if fields[name].required != is_required:
            yield f"the property {name} is required in only one of schema and model"
        elif has_defaults and not is_required and list_types(resolved) != ["object"]:
            actual = _get_default(fields[name])
            if actual is not default and actual != default:
                yield f"the default of {name} is {actual!r} in the model"


def _get_default(field: Any) -> Any:
    """Return the default of a field in its JSON form."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    return field.default if field.default is msgspec.UNSET else msgspec.to_builtins(field.default)
