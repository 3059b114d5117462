"""Generator of the TypeScript client: types, a function per stream, and the package files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codegen.contracts import Contracts, Files
from codegen.errors import map_all
from codegen.openapi.names import get_function_name
from codegen.rest.handlers import get_event_data_schema
from codegen.rest.operations import Operation, iter_operations
from codegen.rest.published_openapi import publish_document
from codegen.typescript.types import generate_types

ROOT = Path(__file__).parents[2]
README = "api-specs/typescript-client.md"
"""Description of the package, with examples of its API."""

PACKAGE_FOLDER = Path(__file__).parent / "package"
RUNTIME_PACKAGES = ("eventsource-parser", "openapi-fetch")
"""npm packages that the client imports, in the versions of the root package.json."""

_PATH_PARAMETER = re.compile(r"\{([^}]+)\}")

HEADER = "// Written by `make generate` from api-specs/openapi/{name}.yaml. Do not edit.\n"
CLASS_PLACEHOLDER, NAME_PLACEHOLDER = "__Name__", "__name__"
"""Placeholders of the name of the mesh in the files of the package, capitalised and unchanged."""


def generate(contracts: Contracts) -> Files:
    """Generate the package below `typescript/`."""
    files: Files = {
        str(path.relative_to(PACKAGE_FOLDER)): insert_name(path.read_text(encoding="utf-8"), contracts.name)
        for path in sorted(PACKAGE_FOLDER.rglob("*"))
        if path.is_file()
    }
    readme = contracts.root / README
    if readme.exists():
        files["README.md"] = readme.read_text(encoding="utf-8")
    files["package.json"] = _render_package_manifest(
        contracts.name, contracts.openapi[contracts.name]["info"]["version"]
    )
    header = HEADER.format(name=contracts.name)
    files["src/schema.ts"] = header + generate_types(publish_document(contracts.openapi[contracts.name]))
    files["src/streams.ts"] = header + generate_streams(contracts)
    return {f"typescript/{name}": content for name, content in files.items()}


def insert_name(text: str, name: str) -> str:
    """Return the text with the name of the mesh instead of its placeholders."""
    return text.replace(CLASS_PLACEHOLDER, name.title()).replace(NAME_PLACEHOLDER, name)


def _render_package_manifest(name: str, version: str) -> str:
    dependencies = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    manifest = {
        "name": f"@{name}/client",
        "version": version,
        "description": f"Client of the {name} platform's API.",
        "license": "Apache-2.0",
        "type": "module",
        "exports": {".": {"types": "./index.d.ts", "default": "./index.js"}},
        "sideEffects": False,
        "engines": {"node": ">=20"},
        "dependencies": {name: dependencies[name] for name in RUNTIME_PACKAGES},
    }
    return json.dumps(manifest, indent=2) + "\n"


def generate_streams(contracts: Contracts) -> str:
    """Generate a function for each operation with a stream of server-sent events."""
    functions = "".join(
        map_all(lambda operation: _render_stream(contracts, operation), _iter_streaming_operations(contracts))
    )
    helpers = "formatQuery, watch" if "formatQuery(" in functions else "watch"
    imports = (
        'import type { __Name__ } from "./client.js";\n'
        'import type { components, paths } from "./schema.js";\n'
        f'import {{ {helpers}, type WatchEvent, type WatchOptions }} from "./watch.js";\n'
    )
    return insert_name(f"{imports}{functions}", contracts.name)


def _iter_streaming_operations(contracts: Contracts) -> Iterator[Operation]:
    for operation in iter_operations(contracts, contracts.name):
        if "text/event-stream" in operation.content:
            yield operation


def _render_member(name: str, member: str) -> str:
    """Render the access to a member of an object, which may have any name."""
    return f"{name}.{member}" if re.fullmatch(r"[A-Za-z_]\w*", member, re.ASCII) else f"{name}[{json.dumps(member)}]"


def _get_final_event(contracts: Contracts, operation: Operation, data: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the property of an event's data and its values, after which the stream ends."""
    final_event = operation.raw.get("x-final-event")
    if not isinstance(final_event, dict) or len(final_event) != 1:
        remedy = "add it with one property of the data, and the list of its final values"
        raise operation.create_error("the stream lacks x-final-event", remedy)
    ((name, values),) = final_event.items()
    if name not in _list_properties(contracts, data):
        raise operation.create_error(f"x-final-event names the property {name}, which the data has not", "correct it")
    if not isinstance(values, list) or not values:
        raise operation.create_error(f"x-final-event has no list of values of {name}", "write the final values")
    return name, values


def _list_properties(contracts: Contracts, schema: Any) -> set[str]:
    """Return the properties that all values of a schema may have."""
    resolved = contracts.resolve_reference(contracts.name, schema) if isinstance(schema, dict) else {}
    names = set(resolved.get("properties", {}))
    for part in resolved.get("allOf", ()):
        names |= _list_properties(contracts, part)
    alternatives = [_list_properties(contracts, part) for key in ("oneOf", "anyOf") for part in resolved.get(key, ())]
    return names | (set.intersection(*alternatives) if alternatives else set())


def _list_stream_arguments(contracts: Contracts, operation: Operation) -> tuple[dict[str, str], str]:
    """Return the types of the arguments by name, and the expression that is appended to the path."""
    unsent = [
        each
        for each in operation.parameters
        if each["in"] in ("cookie", "header") and (each.get("required") or each["in"] == "cookie")
    ]
    if unsent:
        problem = f"the stream has the {unsent[0]['in']} parameter {unsent[0]['name']}, which the client does not send"
        raise operation.create_error(problem, "use a query parameter")
    parameters = f'paths[{json.dumps(operation.path, ensure_ascii=False)}]["get"]["parameters"]'
    query = [each for each in operation.parameters if each["in"] == "query"]
    arguments = {"path": f'{parameters}["path"]'} if "{" in operation.path else {}
    if not query:
        return arguments, ""
    is_required = any(each.get("required") for each in query)
    arguments["query"] = f'NonNullable<{parameters}["query"]>{"" if is_required else " = {}"}'
    joined = [each["name"] for each in query if each.get("explode") is False]
    return arguments, f"${{formatQuery(query, {json.dumps(joined)})}}"


def _render_stream(contracts: Contracts, operation: Operation) -> str:
    schema = get_event_data_schema(contracts, operation.content["text/event-stream"]["schema"])
    field, final_values = _get_final_event(contracts, operation, schema)
    arguments, suffix = _list_stream_arguments(contracts, operation)
    path = _PATH_PARAMETER.sub(
        lambda match: f"${{encodeURIComponent({_render_member('path', match[1])})}}", operation.path
    )
    description = operation.description.strip().replace("*/", "*\\/").replace("\n", "\n * ")
    data = schema["$ref"].rsplit("/", 1)[-1]
    return f"""
/**
 * {operation.summary.replace("*/", "*" + chr(92) + "/")}
 *
 * {description}
 */
export function {get_function_name(operation.id)}(
  __name__: __Name__,
{"".join(f"  {name}: {kind},{chr(10)}" for name, kind in arguments.items())}  options: WatchOptions = {{}},
): AsyncGenerator<WatchEvent<components["schemas"]["{data}"]>> {{
  const finalValues: ReadonlySet<unknown> = new Set<unknown>({json.dumps(final_values)});
  return watch(__name__, `{path}{suffix}`, (data) => finalValues.has({_render_member("data", field)}), options);
}}
"""
