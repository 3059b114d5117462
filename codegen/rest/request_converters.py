"""Generator of converters from REST requests to RPC requests.

One function per operation with an RPC method builds the request message from the arguments of the handler. Parameters
and properties of the body are matched with fields by name, also in nested objects. An absent value leaves the field
unset. The principal has no field, because the stub forwards the token.

- `Idempotency-Key` is the field `idempotency_key`; `If-Match` is `if_match` or, as numbers, `versions`, and not
  `version`.
- A signed request is forwarded unchanged: `webhook_id`, `webhook_timestamp`, `webhook_signature` and `body`.
- The message of an object with nullable properties has a field `remove`, which lists the properties that are null.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from codegen.contracts import ContractError, Contracts, Files
from codegen.errors import map_all
from codegen.naming import to_snake_case
from codegen.openapi.names import get_argument_name
from codegen.protobuf import Method
from codegen.rest.handlers import (
    FORM_MEDIA_TYPE,
    RUNTIME_PARAMETERS,
    SIGNED_SCHEME,
    list_class_names,
    render_import,
    render_request_arguments,
    render_security_argument,
)
from codegen.rest.message_fields import (
    HEADER,
    NOT_OPTIONAL,
    REMOVE_FIELD,
    FieldConverter,
    Schema,
    SchemaMessagePair,
    get_module_alias,
    get_referenced_name,
    list_enum_members,
    list_schema_message_pairs,
    remove_null,
)
from codegen.rest.operations import Operation
from codegen.rest.rpc_methods import iter_forwarded_operations
from codegen.rpc.python_names import get_attribute_name

IMPORTS = (
    "from datetime import date, datetime\n\n"
    "from msgspec import UNSET\n\n"
    "from services.runtime.core.preconditions import parse_if_match_versions\n"
    "from services.runtime.rest.types import list_null_fields, unset_to_none\n"
)
HELPERS = ("list_null_fields", "parse_if_match_versions", "unset_to_none")
"""Imported functions."""

IF_MATCH, VERSION_FIELD, VERSIONS_FIELD = "if_match", "version", "versions"
SIGNED_REQUEST_FIELDS = {
    "webhook_id": "webhook.id",
    "webhook_timestamp": "webhook.timestamp",
    "webhook_signature": "webhook.signature",
    "body": "webhook.body",
}


@dataclass(frozen=True)
class Input:
    """A parameter or a property of the body, with the expression of its value."""

    schema: Schema
    source: str
    required: bool
    """True if the value is never absent, because it is required or has a default."""
    nullable: bool = False
    absent: str = "UNSET"
    """Value of the expression when the parameter or property is absent."""


class RequestModule(FieldConverter):
    """Renderer of the functions that build request messages."""

    def __init__(self, contracts: Contracts) -> None:
        super().__init__(contracts)
        self._messages: dict[str, str] = {}
        self._object_functions: list[str] = []

    def render_module(self, forwarded: Iterable[tuple[Operation, Method]]) -> str:
        """Render the module, with functions for the nested objects of requests that handlers convert."""
        operations = list(forwarded)
        operation_functions = map_all(lambda each: self.render_operation(*each), operations)
        bodies = {
            get_referenced_name(content["schema"])
            for operation, _ in operations
            for content in (operation.body or {}).values()
        }
        for pair in list_schema_message_pairs(self.contracts).values():
            # Only schemas of requests reject additional properties. The function of its operation converts a body.
            if pair.schema.get("additionalProperties") is False and pair.name not in bodies:
                self.add_object_function(pair)
        functions = "".join([*self._object_functions, *operation_functions])
        models = sorted(
            name for name in list_class_names(self.contracts) if re.search(rf"(?<![.\w]){name}\b", functions)
        )
        signed_request = render_import(self.contracts, "services.runtime.outbound.webhooks", "SignedRequest")
        imports = f"from generated.rest.{self.contracts.name}.models import {', '.join(models)}\n" if models else ""
        return f"{HEADER}{IMPORTS}{signed_request}\n{self.render_imports()}{imports}\n\n{functions}"

    def render_operation(self, operation: Operation, method: Method) -> str:
        """Render the function of an operation. It has the arguments of the handler, except the principal."""
        message = self.contracts.protos.pool.FindMessageTypeByName(method.request)
        pair = SchemaMessagePair(operation.id, {}, message, operation.location)
        inputs = self.list_inputs(operation, pair)
        computed = dict(SIGNED_REQUEST_FIELDS) if operation.scheme == SIGNED_SCHEME else {}
        if IF_MATCH in inputs and IF_MATCH not in message.fields_by_name:
            computed[VERSION_FIELD] = "None"
            computed[VERSIONS_FIELD] = f"[*(parse_if_match_versions({inputs.pop(IF_MATCH).source}) or ())]"
        arguments = ", ".join(render_forwarded_arguments(self.contracts, operation))
        parameters = f"*, {arguments}" if arguments else ""
        assignments = self.render_assignments(pair, inputs, "body", computed)
        self.check_arguments(operation)
        return (
            f"def {operation.method_name}({parameters}) -> {self.render_message_type(message)}:\n"
            f'    """{operation.id} → {message.full_name}."""\n'
            f"    return {self.render_message_type(message)}({assignments})\n\n\n"
        )

    def check_arguments(self, operation: Operation) -> None:
        """Raise ContractError for a parameter whose argument hides a name that the function uses."""
        used = {*HELPERS, *self._messages, *map(get_module_alias, self.packages)}
        for parameter in operation.parameters:
            if (name := get_argument_name(parameter["name"])) in used:
                problem = f"the parameter {parameter['name']} has the name {name} of the generated module"
                raise operation.create_error(problem, "rename it")

    def list_inputs(self, operation: Operation, pair: SchemaMessagePair) -> dict[str, Input]:
        """Return the parameters and the properties of the body, by field name. Raises ContractError for a file."""
        if FORM_MEDIA_TYPE in (operation.body or {}):
            remedy = "rename the method, or send JSON"
            raise operation.create_error(f"the form has a file, so it is no {pair.message.full_name}", remedy)
        inputs = {}
        for parameter in operation.parameters:
            if parameter["name"] not in RUNTIME_PARAMETERS:
                name, schema = get_argument_name(parameter["name"]), parameter["schema"]
                has_default = "default" in self.contracts.resolve_reference(self.contracts.name, schema)
                inputs[name] = Input(schema, name, parameter.get("required", False) or has_default, absent="None")
        # The media types of a merge patch have the same schema.
        for content in [*(operation.body or {}).values()][:1] if operation.scheme != SIGNED_SCHEME else ():
            properties = self.list_properties(pair, content["schema"], "body")
            for name in inputs.keys() & properties.keys():
                raise pair.create_mismatch_error(name, "is both a parameter and a property, for one field")
            inputs |= properties
        return inputs

    def list_properties(self, pair: SchemaMessagePair, schema: Schema, variable: str) -> dict[str, Input]:
        """Return the properties of an object, which is in the variable."""
        resolved = self.contracts.resolve_reference(self.contracts.name, schema)
        inputs = {}
        for name, declared in resolved.get("properties", {}).items():
            pair.check_attribute_name(name)
            present, nullable = remove_null(declared)
            has_default = "default" in self.contracts.resolve_reference(self.contracts.name, present)
            required = name in resolved.get("required", ()) or has_default
            inputs[name] = Input(present, f"{variable}.{name}", required, nullable)
        return inputs

    def render_assignments(
        self, pair: SchemaMessagePair, inputs: Mapping[str, Input], variable: str, computed: Mapping[str, str]
    ) -> str:
        """Render the keyword arguments of a message; `computed` are expressions of fields without an input.

        Raises ContractError for a field without an input and for an input without a field.
        """
        fields = {field.name: field for field in pair.message.fields}
        if any(value.nullable for value in inputs.values()):
            computed = {**computed, REMOVE_FIELD: f"list_null_fields({variable})"}
        pair.check_names(
            {
                "has no field": (inputs.keys() | computed.keys()) - fields.keys(),
                "has no parameter or property but a field": fields.keys() - inputs.keys() - computed.keys(),
            }
        )
        values = map_all(
            lambda each: self.render_input_expression(pair, each[0], each[1], fields[each[0]]), inputs.items()
        )
        assignments = dict(zip(inputs, values, strict=True)) | dict(computed)
        return ", ".join(f"{get_attribute_name(name)}={value}" for name, value in assignments.items())

    def render_input_expression(self, pair: SchemaMessagePair, name: str, value: Input, field: FieldDescriptor) -> str:
        """Return the expression of a field's value."""
        source = value.source
        if value.required and not value.nullable:
            return self.render_value_expression(pair, name, value.schema, field, source)
        resolved = self.contracts.resolve_reference(self.contracts.name, value.schema)
        if field.is_repeated and resolved.get("minItems", 0) > 0:
            return self.render_value_expression(pair, name, value.schema, field, f"{source} or []")
        converted = self.render_value_expression(pair, name, value.schema, field, source)
        optional = source if value.absent == "None" else f"unset_to_none({source})"
        if field.has_presence:
            absent = f"{source} is {value.absent}" + (f" or {source} is None" if value.nullable else "")
            return optional if converted == source else f"None if {absent} else {converted}"
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated and resolved.get("minLength", 0) > 0:
            return f'{optional} or ""'
        # The default value of the field must not be a valid value of the property.
        raise pair.create_mismatch_error(name, NOT_OPTIONAL)

    def render_enum_expression(self, model: str, enum: EnumDescriptor, source: str) -> str:
        """Return the enum value of the same name."""
        kind, members = self.render_message_type(enum), list_enum_members(enum)
        if all(member == value.upper() for value, member in members.items()):
            return f"{kind}[{source}.value.upper()]"
        table = ", ".join(f"{value!r}: {kind}.{member}" for value, member in members.items())
        return f"{{{table}}}[{source}.value]"

    def render_message_expression(
        self, pair: SchemaMessagePair, name: str, schema: Schema, message: Descriptor, source: str
    ) -> str:
        """Return the call of the function that converts the object."""
        model = get_referenced_name(schema)
        if not model:
            raise pair.create_mismatch_error(name, "is not a schema under components/schemas but a message field")
        return f"{self.add_object_function(self.create_pair(model, schema, message))}({source})"

    def create_pair(self, name: str, schema: Schema, message: Descriptor) -> SchemaMessagePair:
        """Return the pair of a named schema."""
        location = self.contracts.format_location(self.contracts.name, "components", "schemas", name)
        return SchemaMessagePair(name, schema, message, location)

    def render_timestamp_expression(self, source: str) -> str:
        """Return the Timestamp of a datetime."""
        return source

    def add_object_function(self, pair: SchemaMessagePair) -> str:
        """Return the name of the function that converts an object; render the function at its first use.

        Raises ContractError for a schema with several messages.
        """
        function, message = f"to_{to_snake_case(pair.class_name)}", pair.message
        if function not in self._messages:
            self._messages[function] = message.full_name
            arguments = self.render_assignments(pair, self.list_properties(pair, pair.schema, "model"), "model", {})
            self._object_functions.append(
                f"def {function}(model: {pair.class_name}) -> {self.render_message_type(message)}:\n"
                f'    """{pair.name} → {message.full_name}."""\n'
                f"    return {self.render_message_type(message)}({arguments})\n\n\n"
            )
        if self._messages[function] != message.full_name:
            problem = f"the schema is {self._messages[function]} and {message.full_name}"
            raise ContractError(f"{pair.location}: {problem}; declare another schema for one of them")
        return function


def render_forwarded_arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """Render the keyword arguments of an operation's function: those of the handler, except the principal."""
    signed = [render_security_argument(contracts, SIGNED_SCHEME)] if operation.scheme == SIGNED_SCHEME else []
    return signed + render_request_arguments(contracts, operation)


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<mesh>/requests.py`."""
    text = RequestModule(contracts).render_module(iter_forwarded_operations(contracts))
    return {contracts.get_rest_path("requests"): text}
