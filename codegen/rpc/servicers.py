"""Generator of method constants, abstract servicers and stubs of each protobuf package with services."""

from collections import defaultdict
from collections.abc import Iterable

from betterproto2_compiler.compile.naming import pythonize_class_name, pythonize_method_name

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import get_unqualified_name, render_docstring
from codegen.protobuf import Method, Service
from codegen.rest import message_fields
from codegen.rpc import request_constraints

HEADER = '"""Written by `make generate` from api-specs/proto. Do not edit."""\n'
IMPORTS = """
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable

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
    check_constant_names(services)
    methods = [method for service in services for method in service.methods]
    parts = [
        HEADER,
        IMPORTS,
        *render_imports(methods),
        "\n",
        *(render_method_constant(method, constraints_for(method)) for method in methods),
        *(
            text
            for service in services
            for text in (render_servicer(service, pre_encoded_responses), render_stub(service, page_responses))
        ),
    ]
    return "\n".join(parts)


def check_constant_names(services: list[Service]) -> None:
    """Raise ContractError for two methods with the same constant name in a package."""
    owners: dict[str, str] = {}
    for method in (method for service in services for method in service.methods):
        other = owners.setdefault(get_constant_name(method), method.path)
        if other != method.path:
            raise ContractError(
                f"{other} and {method.path} have the same constant {get_constant_name(method)}; rename one"
            )


def render_imports(methods: Iterable[Method]) -> list[str]:
    """Render one import per package with messages of the methods."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for full_name in (name for method in methods for name in (method.request, method.response)):
        names[full_name.rpartition(".")[0]].add(get_class_name(full_name))
    return [
        f"from generated.proto.{package} import {', '.join(sorted(classes))}"
        for package, classes in sorted(names.items())
    ]


def render_method_constant(method: Method, constraints: request_constraints.Schema) -> str:
    """Render the constant of a method."""
    request, response = get_class_name(method.request), get_class_name(method.response)
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
)
"""


def render_servicer(service: Service, pre_encoded_responses: frozenset[str]) -> str:
    """Render the abstract servicer of a service."""
    methods = "".join(
        render_abstract_method(method, may_be_pre_encoded=method.response in pre_encoded_responses)
        for method in service.methods
    )
    return f"""

class {get_base_name(service)}Servicer(Servicer):
{render_docstring(service.comment, 4)}
    SERVICE = {service.full_name!r}
    METHODS = ({"".join(f"{get_constant_name(method)}, " for method in service.methods)})
{methods}"""


def render_abstract_method(method: Method, *, may_be_pre_encoded: bool) -> str:
    """Render an abstract method. A streaming one is implemented as an async generator and therefore not `async`."""
    principal = ", principal: Principal" if method.actor_required else ""
    prefix, result = render_signature(method)
    if may_be_pre_encoded:
        result += f" | PreEncoded[{result}]"
    return f"""
    @abstractmethod
    {prefix}def {get_method_name(method)}(self, request: {get_class_name(method.request)}{principal}) -> {result}:
{render_docstring(method.comment, 8)}"""


def render_stub(service: Service, page_responses: frozenset[str]) -> str:
    """Render the stub of a service."""
    methods = "".join(render_stub_method(method, method.response in page_responses) for method in service.methods)
    return f"""

class {get_base_name(service)}Stub(Stub):
{render_docstring(service.comment, 4)}
    METHODS = {get_base_name(service)}Servicer.METHODS
{methods}"""


def render_stub_method(method: Method, is_page: bool) -> str:
    """Render a method of a stub. The caller of a page passes the function that decodes it from the wire."""
    prefix, result = render_signature(method)
    constant_name = get_constant_name(method)
    call = "self.call_stream" if method.server_streaming else "await self.call_unary"
    request = get_class_name(method.request)
    if is_page:
        return f"""
    async def {get_method_name(method)}[Page](
        self, request: {request}, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
{render_docstring(method.comment, 8)}        return await self.call_unary_wire({constant_name}, request, read, timeout)
"""
    return f"""
    {prefix}def {get_method_name(method)}(self, request: {request}, *, timeout: float | None = None) -> {result}:
{render_docstring(method.comment, 8)}        return {call}({constant_name}, request, timeout)
"""


def render_signature(method: Method) -> tuple[str, str]:
    """Return the prefix of `def` and the return type."""
    response = get_class_name(method.response)
    return ("", f"AsyncIterator[{response}]") if method.server_streaming else ("async ", response)


def get_base_name(service: Service) -> str:
    """Convert OrdersService to Orders."""
    return pythonize_class_name(service.name).removesuffix("Service")


def get_class_name(full_name: str) -> str:
    """Return betterproto2's class name of a message."""
    return pythonize_class_name(get_unqualified_name(full_name))


def get_method_name(method: Method) -> str:
    """Convert GetOrder to get_order."""
    return pythonize_method_name(method.name)


def get_constant_name(method: Method) -> str:
    """Convert GetOrder to GET_ORDER."""
    return get_method_name(method).upper()
