"""Generator of method constants, abstract servicers and stubs of each protobuf package with services."""

from collections import defaultdict

from codegen.contracts import Contracts, Files
from codegen.naming import render_docstring
from codegen.protobuf import Method, Service
from codegen.rest import message_fields
from codegen.rpc import request_constraints
from codegen.rpc.imported_messages import ImportedMessages
from codegen.rpc.python_names import get_method_attribute_name, get_service_class_prefix

HEADER = '"""Written by `make generate` from api-specs/proto. Do not edit."""\n'
IMPORTED_NAMES = (
    *("abstractmethod", "AsyncIterable", "AsyncIterator", "Callable", "Idempotency", "Method", "PreEncoded"),
    *("Principal", "Servicer", "Stub", "Wire"),
)
IMPORTS = """
from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable

from services.runtime.rpc.codec import PreEncoded, Wire
from services.runtime.core.principal import Principal
from services.runtime.rpc.method import Idempotency, Method
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.stub import Stub
"""


def generate(contracts: Contracts) -> Files:
    """Generate `proto/<package>/rpc.py` beside the package's messages."""
    packages: defaultdict[str, list[Service]] = defaultdict(list)
    for service in contracts.protos.services:
        packages[service.package].append(service)
    pages = message_fields.list_page_responses(contracts)
    pre_encoded = pages | list_replayed_responses(contracts)
    return {
        f"proto/{name.replace('.', '/')}/rpc.py": render_module(
            services, request_constraints.build_lookup(contracts), pages, pre_encoded
        )
        for name, services in packages.items()
    }


def list_replayed_responses(contracts: Contracts) -> frozenset[str]:
    """Return the names of responses that are stored with an idempotency key: they have a field `replayed`."""
    find_message = contracts.protos.pool.FindMessageTypeByName
    responses = {method.response for service in contracts.protos.services for method in service.methods}
    return frozenset(name for name in responses if "replayed" in find_message(name).fields_by_name)


def render_module(
    services: list[Service],
    constraints_for: request_constraints.ConstraintLookup,
    page_responses: frozenset[str],
    pre_encoded_responses: frozenset[str],
) -> str:
    """Render one `rpc.py`; the formatter removes unused imports.

    A servicer may return one of the `pre_encoded_responses` in the wire format.
    """
    methods = [method for service in services for method in service.methods]
    messages = create_message_imports(services)
    parts = [
        HEADER,
        IMPORTS,
        messages.render_imports(),
        "\n",
        *(render_method_constant(method, messages, constraints_for(method)) for method in methods),
        *(
            text
            for service in services
            for text in (
                render_servicer(service, messages, pre_encoded_responses),
                render_stub(service, messages, page_responses),
            )
        ),
    ]
    return "\n".join(parts)


def create_message_imports(services: list[Service]) -> ImportedMessages:
    """Return the imports of requests and responses; other names of the module take precedence."""
    methods = [method for service in services for method in service.methods]
    prefixes = [get_base_name(service) for service in services]
    own_names = [
        *IMPORTED_NAMES,
        *map(get_constant_name, methods),
        *(f"{prefix}{suffix}" for prefix in prefixes for suffix in ("Servicer", "Stub")),
    ]
    return ImportedMessages([name for method in methods for name in (method.request, method.response)], own_names)


def render_method_constant(method: Method, messages: ImportedMessages, constraints: request_constraints.Schema) -> str:
    """Render the constant of a method."""
    request, response = messages[method.request], messages[method.response]
    client_streaming = "    client_streaming=True,\n" if method.client_streaming else ""
    return f"""
{get_constant_name(method)}: Method[{request}, {response}] = Method(
    service={method.service!r},
    name={method.name!r},
    attribute={get_method_name(method)!r},
    request={request},
    response={response},
    server_streaming={method.server_streaming},
    idempotency=Idempotency.{method.idempotency},
    callers={method.callers!r},
    actor_required={method.actor_required},
    timeout_s={method.timeout_s},
    max_attempts={method.attempts},
    constraints={constraints!r},
{client_streaming})
"""


def render_servicer(service: Service, messages: ImportedMessages, pre_encoded_responses: frozenset[str]) -> str:
    """Render the abstract servicer of a service."""
    methods = "".join(
        render_abstract_method(
            method,
            messages,
            may_be_pre_encoded=method.response in pre_encoded_responses and not method.is_streaming,
        )
        for method in service.methods
    )
    return f"""

class {get_base_name(service)}Servicer(Servicer):
{render_docstring(service.comment, 4)}
    SERVICE = {service.full_name!r}
    METHODS = ({"".join(f"{get_constant_name(method)}, " for method in service.methods)})
{methods}"""


def render_abstract_method(method: Method, messages: ImportedMessages, *, may_be_pre_encoded: bool) -> str:
    """Render an abstract method. One that streams responses is an async generator and therefore not `async`."""
    request = (
        f"requests: AsyncIterator[{messages[method.request]}]"
        if method.client_streaming
        else f"request: {messages[method.request]}"
    )
    principal = ", principal: Principal" if method.actor_required else ""
    prefix, result = render_signature(method, messages)
    if may_be_pre_encoded:
        result += f" | PreEncoded[{result}]"
    return f"""
    @abstractmethod
    {prefix}def {get_method_name(method)}(self, {request}{principal}) -> {result}:
{render_docstring(method.comment, 8)}"""


def render_stub(service: Service, messages: ImportedMessages, page_responses: frozenset[str]) -> str:
    """Render the stub of a service."""
    methods = "".join(
        render_page_method(method, messages)
        if method.response in page_responses and not method.is_streaming
        else render_stub_method(method, messages)
        for method in service.methods
    )
    return f"""

class {get_base_name(service)}Stub(Stub):
{render_docstring(service.comment, 4)}
    METHODS = {get_base_name(service)}Servicer.METHODS
{methods}"""


def render_stub_method(method: Method, messages: ImportedMessages) -> str:
    """Render a method of a stub."""
    prefix, result = render_signature(method, messages)
    name, message = "request", messages[method.request]
    call = "self.call_stream" if method.server_streaming else "await self.call_unary"
    if method.client_streaming:
        name, message = "requests", f"AsyncIterable[{message}]"
        call = "self.call_bidi_stream" if method.server_streaming else "await self.call_client_stream"
    return f"""
    {prefix}def {get_method_name(method)}(self, {name}: {message}, *, timeout: float | None = None) -> {result}:
{render_docstring(method.comment, 8)}        return {call}({get_constant_name(method)}, {name}, timeout)
"""


def render_page_method(method: Method, messages: ImportedMessages) -> str:
    """Render a method of a stub whose caller passes the function that decodes the page from the wire."""
    constant = get_constant_name(method)
    return f"""
    async def {get_method_name(method)}[Page](
        self, request: {messages[method.request]}, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
{render_docstring(method.comment, 8)}        return await self.call_unary_wire({constant}, request, read, timeout)
"""


def render_signature(method: Method, messages: ImportedMessages) -> tuple[str, str]:
    """Return the prefix of `def` and the return type."""
    response = messages[method.response]
    return ("", f"AsyncIterator[{response}]") if method.server_streaming else ("async ", response)


def get_base_name(service: Service) -> str:
    """Convert LoansService to Loans."""
    return get_service_class_prefix(service.name)


def get_method_name(method: Method) -> str:
    """Convert GetLoan to get_loan."""
    return get_method_attribute_name(method.name)


def get_constant_name(method: Method) -> str:
    """Convert GetLoan to GET_LOAN."""
    return get_method_name(method).upper()
