"""Generator of handlers that forward operations to their RPC methods: one class per tag.

A method builds the RPC request, calls the stub, and converts the response to the model and the headers of the
operation. Operations of the tag without an RPC method stay abstract; a subclass in the gateway implements them.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence

from google.protobuf.descriptor import Descriptor

from codegen.contracts import Contracts, Files
from codegen.errors import map_all
from codegen.naming import to_snake_case
from codegen.openapi.names import FORWARDING_PREFIX, get_argument_name, get_handler_class_name
from codegen.openapi.servers import get_base_path
from codegen.protobuf import Method, Service
from codegen.rest.converters import get_converter_name
from codegen.rest.handlers import (
    get_referenced_schema_name,
    get_result_type,
    get_runtime_name,
    list_class_names,
    render_arguments,
    render_import,
)
from codegen.rest.message_fields import HEADER, SchemaMessagePair, list_page_responses, list_schema_message_pairs
from codegen.rest.operations import Operation
from codegen.rest.request_converters import render_forwarded_arguments
from codegen.rest.rpc_methods import iter_forwarded_operations
from codegen.rpc.python_names import get_attribute_name
from codegen.rpc.servicers import get_base_name, get_method_name

MODULE = "forwarding_handlers"
IMPORTS = (
    "from datetime import date, datetime\n\n"
    # Private names, because arguments have those of parameters.
    "from generated.rest.{mesh} import convert as _convert\n"
    "from generated.rest.{mesh} import pages as _pages\n"
    "from generated.rest.{mesh} import requests as _requests\n"
    "from services.runtime.core.preconditions import format_etag as _format_etag\n"
    "from services.runtime.rest.types import require as _require\n"
)
RUNTIME_TYPES = {
    "services.runtime.core.principal": ("Principal",),
    "services.runtime.outbound.webhooks": ("SignedRequest",),
    "services.runtime.rest.types": ("Response",),
}
"""Imported types by module."""
PATH_PARAMETER_PATTERN = re.compile(r"\{([^}]+)\}")
LOCATION, ETAG, REPLAYED = "Location", "ETag", "Idempotency-Replayed"
HEADERS_BY_FIELD = {"etag": ETAG, "version": ETAG, "replayed": REPLAYED}
"""Fields of RPC responses that become headers."""

ETAG_EXPRESSIONS = {"etag": "_response.etag", "version": "_format_etag(_response.version)"}

type ForwardedOperation = tuple[Operation, Method]


class ForwardingModule:
    """Renderer of the module."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.pairs = list_schema_message_pairs(contracts)
        self.pages = list_page_responses(contracts)
        self.services = {service.full_name: service for service in contracts.protos.services}

    def render(self, forwarded: Sequence[ForwardedOperation]) -> str:
        """Render the module."""
        by_tag: defaultdict[str, list[ForwardedOperation]] = defaultdict(list)
        for operation, method in forwarded:
            by_tag[operation.tag].append((operation, method))
        classes = "\n".join(map_all(lambda tag: self.render_class(tag, by_tag[tag]), by_tag))
        models = [name for name in list_class_names(self.contracts) if re.search(rf"(?<![.\w]){name}\b", classes)]
        imports = [
            *(render_import(self.contracts, module, *names) for module, names in RUNTIME_TYPES.items()),
            *(
                f"from generated.proto.{each.package}.rpc import {get_stub_class_name(each)}"
                for each in self.list_services(forwarded)
            ),
            *(
                f"from generated.rest.{self.contracts.name}.handlers import {get_handler_class_name(tag)}"
                for tag in by_tag
            ),
            *(f"from generated.rest.{self.contracts.name}.models import {name}" for name in models),
        ]
        return HEADER + IMPORTS.format(mesh=self.contracts.name) + "\n".join(imports) + "\n\n\n" + classes

    def list_services(self, forwarded: Sequence[ForwardedOperation]) -> list[Service]:
        """Return the services of the methods, ordered by name."""
        return [self.services[name] for name in sorted({method.service for _, method in forwarded})]

    def render_class(self, tag: str, forwarded: Sequence[ForwardedOperation]) -> str:
        """Render the class of a tag. Its constructor takes the stubs of the services that the operations need."""
        names = {
            to_snake_case(get_base_name(service)): get_stub_class_name(service)
            for service in self.list_services(forwarded)
        }
        parameters = ", ".join(f"{name}: {stub}" for name, stub in names.items())
        return (
            f"class {FORWARDING_PREFIX}{get_handler_class_name(tag)}({get_handler_class_name(tag)}):\n"
            f'    """Operations tagged `{tag}` with an RPC method."""\n\n'
            f"    def __init__(self, {parameters}) -> None:\n"
            + "".join(f"        self._{name} = {name}\n" for name in names)
            + "\n"
            + "".join(map_all(lambda each: self.render_method(*each), forwarded))
        )

    def render_method(self, operation: Operation, method: Method) -> str:
        """Render the method of an operation. Raises ContractError if the RPC requires a user that may be absent."""
        if operation.is_token_optional and method.actor_required:
            problem = f"the token is optional, but {method.path} requires a user"
            raise operation.create_error(problem, "require a token, or remove `actor` from the method")
        arguments = render_arguments(self.contracts, operation)
        parameters = ", ".join(["self", "*", *arguments] if arguments else ["self"])
        names = [each.partition(":")[0] for each in render_forwarded_arguments(self.contracts, operation)]
        request = f"_requests.{operation.method_name}({', '.join(f'{name}={name}' for name in names)})"
        stub = f"self._{to_snake_case(get_base_name(self.services[method.service]))}.{get_method_name(method)}"
        result_type = get_result_type(self.contracts, operation)
        return (
            f"    async def {operation.method_name}({parameters}) -> {result_type}:\n"
            f'        """{operation.id} → {method.service}.{method.name}."""\n'
            + "".join(f"        {line}\n" for line in self.render_forwarding_lines(operation, method, stub, request))
            + "\n"
        )

    def render_forwarding_lines(self, operation: Operation, method: Method, stub: str, request: str) -> list[str]:
        """Return the statements that call the stub and convert its response."""
        message = self.contracts.protos.pool.FindMessageTypeByName(method.response)
        if not operation.content:
            self.check_response(operation, message, ())
            return [f"await {stub}({request})"]
        pair = self.find_result_pair(operation, message)
        converter = get_converter_name(pair.name)
        if method.response in self.pages:
            self.check_response(operation, message, [field.name for field in message.fields])
            return [f"return await {stub}({request}, _pages.{converter})"]
        if pair.message is message:
            body_fields = [field.name for field in message.fields if field.name not in HEADERS_BY_FIELD]
            converted = f"_convert.{converter}(_response)"
        else:
            body_fields = [field.name for field in message.fields if field.message_type is pair.message]
            converted = f"_convert.{converter}(_require(_response.{get_attribute_name(body_fields[0])}))"
        self.check_response(operation, message, body_fields)
        return [f"_response = await {stub}({request})", *self.render_result_lines(operation, pair, message, converted)]

    def find_result_pair(self, operation: Operation, message: Descriptor) -> SchemaMessagePair:
        """Return the schema of the operation's result, which has the response or one of its fields as message.

        Raises ContractError if the schema has another message.
        """
        schema = get_referenced_schema_name(next(iter(operation.content.values())).get("schema", {}))
        pair = self.pairs.get(schema or "")
        nested = [field.message_type for field in message.fields if not field.is_repeated]
        if pair is None or (pair.message is not message and nested.count(pair.message) != 1):
            problem = f"the result is not {message.name} or one of its fields in {message.file.name}"
            raise operation.create_error(problem, "add x-message to its schema")
        return pair

    def render_result_lines(
        self, operation: Operation, pair: SchemaMessagePair, message: Descriptor, converted: str
    ) -> list[str]:
        """Return the statements that return the result with the headers of the operation."""
        if not operation.headers:
            return [f"return {converted}"]
        response = get_runtime_name(self.contracts, "Response")
        fields = {field.name for field in message.fields}
        headers = [f'"{ETAG}": {expression}' for name, expression in ETAG_EXPRESSIONS.items() if name in fields]
        replayed = ", replayed=_response.replayed" if REPLAYED in operation.headers else ""
        if LOCATION not in operation.headers:
            return [f"return {response}({converted}, {{{', '.join(headers)}}}{replayed})"]
        if "id" not in pair.schema["properties"]:
            problem = f"{LOCATION} needs the property id of {pair.name}"
            raise operation.create_error(problem, "add it, or remove the header")
        path = PATH_PARAMETER_PATTERN.sub(lambda name: f"{{{get_argument_name(name[1])}}}", operation.path)
        location = get_base_path(self.contracts.openapi[self.contracts.name]) + path
        headers.insert(0, f'"{LOCATION}": f"{location}/{{_result.id}}"')
        return [f"_result = {converted}", f"return {response}(_result, {{{', '.join(headers)}}}{replayed})"]

    def check_response(self, operation: Operation, message: Descriptor, body_fields: Collection[str]) -> None:
        """Raise ContractError unless each field of the response is in the body or a header, and each header is set."""
        where = f"in {message.file.name} ({message.name})"
        headers = {LOCATION} & operation.headers
        for name in [field.name for field in message.fields if field.name not in body_fields]:
            if HEADERS_BY_FIELD.get(name) not in operation.headers:
                problem = f"the field {name} {where} has no property or header"
                raise operation.create_error(problem, "add one, or remove the field")
            headers.add(HEADERS_BY_FIELD[name])
        if missing := operation.headers - headers:
            problem = f"{', '.join(sorted(missing))} has no field {where}"
            raise operation.create_error(problem, "add the field, or remove the header")


def get_stub_class_name(service: Service) -> str:
    """Return the class name of a service's stub."""
    return f"{get_base_name(service)}Stub"


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<mesh>/forwarding_handlers.py`."""
    text = ForwardingModule(contracts).render(list(iter_forwarded_operations(contracts)))
    return {contracts.get_rest_path(MODULE): text}
