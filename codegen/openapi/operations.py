"""Rules of the operations that the gateway serves."""

import re
from collections.abc import Iterator
from typing import Any

from codegen.errors import ContractError
from codegen.openapi.findings import HTTP_METHODS, Findings, Pointer, parse_reference
from codegen.openapi.media_types import MediaTypeCheck
from codegen.openapi.names import check_operation_names, check_tag_names
from codegen.openapi.parameters import ParameterCheck
from codegen.openapi.paths import check_paths
from codegen.openapi.problems import check_problems
from codegen.openapi.schemas import SchemaCheck
from codegen.openapi.servers import is_supported_server
from codegen.rest.deprecation import SINCE_EXTENSION, SUNSET_EXTENSION, parse_deprecation

SECURITY_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}, "webhook": {"type": "apiKey", "in": "header"}}
"""Security schemes that the edge and the runtime implement, with their declarations."""

ROLES_SCHEMA = "Role"
"""Enum of the roles that `security` may name, if the document has one."""

STATUS_PATTERN = re.compile(r"[1-5][0-9]{2}")
DEFAULT_RESPONSE = "default"
METHODS_WITHOUT_BODY = ("get", "head")
TIMEOUT_PATTERN = re.compile(r"[1-9][0-9]{0,4}s")
MAX_BODY_BYTES = 2**30


class ServedCheck:
    """Check of the operations of one document."""

    def __init__(self, findings: Findings, schemas: SchemaCheck) -> None:
        self._findings = findings
        self._document: dict[str, Any] = findings.file.document
        self._components: dict[str, Any] = self._document.get("components", {})
        self._parameters = ParameterCheck(findings, schemas)
        self._media_types = MediaTypeCheck(findings, schemas)
        self._roles = self._components.get("schemas", {}).get(ROLES_SCHEMA, {}).get("enum")
        self._tags = [tag["name"] for tag in self._document.get("tags", [])]

    def run(self) -> None:
        """Check names, paths and operations."""
        for key in ("paths", "servers"):
            if not self._document.get(key):
                self._findings.add((), f"the document has no `{key}`", "add it")
        check_tag_names(self._findings, self._tags)
        for index, server in enumerate(self._document.get("servers", ())):
            if not is_supported_server(server["url"]):
                problem = f"the URL {server['url']} of a server is not supported"
                self._findings.add(("servers", index), problem, "write a path, or a URL without variables and query")
        check_paths(self._findings, self._document.get("paths", {}))
        operations = list(self._iter_operations())
        named = [(at, operation["operationId"]) for _, _, operation, at in operations if "operationId" in operation]
        check_operation_names(self._findings, named)
        self._check_security(self._document.get("security", []), ("security",))
        check_problems(self._findings, [(operation, pointer) for _, _, operation, pointer in operations])
        for path, item, operation, pointer in operations:
            self._parameters.check(path, item, operation, pointer)
            self._check_operation(operation, pointer)

    def _iter_operations(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], Pointer]]:
        for path, item in self._document.get("paths", {}).items():
            for method in HTTP_METHODS:
                if method in item:
                    yield path, item, item[method], ("paths", path, method)

    def _check_operation(self, operation: dict[str, Any], pointer: Pointer) -> None:
        if "operationId" not in operation:
            example = f"{pointer[-1]}{re.sub(r'[^A-Za-z]+(.)', lambda match: match[1].upper(), str(pointer[1]))}"
            self._findings.add(pointer, "the operation has no operationId", f"add one, such as `{example}`")
        if "servers" in operation:
            self._findings.add((*pointer, "servers"), "`servers` of an operation is not supported", "remove it")
        self._check_tags(operation, pointer)
        if "security" in operation:
            self._check_security(operation["security"], (*pointer, "security"))
        if "requestBody" in operation:
            self._check_body(operation, pointer)
        self._check_responses(operation, pointer)
        self._check_extensions(operation, pointer)

    def _check_tags(self, operation: dict[str, Any], pointer: Pointer) -> None:
        tags = operation.get("tags", [])
        if len(tags) != 1:
            problem = f"the operation has {len(tags) or 'no'} tag{'s' if tags else ''}"
            self._findings.add(pointer, problem, "write exactly one, which names the class of its handler")
        elif tags[0] not in self._tags:
            problem = f"the tag {tags[0]} is not declared"
            self._findings.add((*pointer, "tags"), problem, "add it to `tags` of the document with a description")

    def _check_security(self, requirements: list[dict[str, list[str]]], pointer: Pointer) -> None:
        if {} in requirements and sorted(requirements, key=len) != [{}, {"bearer": []}]:
            remedy = "write `[{}, {bearer: []}]`, or `[]` for a public operation"
            self._findings.add(pointer, "the optional authentication is not that of any user", remedy)
        for index, requirement in enumerate(requirements):
            if len(requirement) > 1:
                names = " and ".join(requirement)
                self._findings.add((*pointer, index), f"{names} at once are not supported", "write one of them")
            for name, roles in requirement.items():
                self._check_requirement(name, roles, (*pointer, index, name))
        schemes = {name for requirement in requirements for name in requirement}
        if len(schemes) > 1:
            problem = f"the alternatives {' and '.join(sorted(schemes))} are not supported"
            self._findings.add(pointer, problem, "write two operations, or one scheme")
        if len(requirements) > 1 and all(requirements) and {"bearer": []} in requirements:
            problem = "the alternative without a role permits every role"
            self._findings.add(pointer, problem, "remove it or the alternatives with roles")

    def _check_requirement(self, name: str, roles: Any, pointer: Pointer) -> None:
        if name not in SECURITY_SCHEMES:
            remedy = f"use {' or '.join(SECURITY_SCHEMES)}"
            self._findings.add(pointer, f"the security scheme {name} is not implemented", remedy)
        elif name not in self._components.get("securitySchemes", {}):
            self._findings.add(pointer, f"the security scheme {name} is not declared", "add it to `securitySchemes`")
        elif different := [
            f"{key}: {value}"
            for key, value in SECURITY_SCHEMES[name].items()
            if str(self._components["securitySchemes"][name].get(key, "")).lower() != value.lower()
        ]:
            problem = f"the declaration of the security scheme {name} is not the implemented one"
            self._findings.add(("components", "securitySchemes", name), problem, f"write `{'`, `'.join(different)}`")
        elif not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            self._findings.add(pointer, f"the roles of {name} are not a list of texts", "correct them")
        elif name != "bearer" and roles:
            self._findings.add(pointer, f"the scheme {name} has no roles", "write an empty list")
        elif self._roles and (unknown := [role for role in roles if role not in self._roles]):
            self._findings.add(pointer, f"the role {unknown[0]} is unknown", f"use one of {', '.join(self._roles)}")
        elif bad := [role for role in roles if not re.fullmatch(r"[A-Za-z0-9_-]+", role)]:
            self._findings.add(pointer, f"the role {bad[0]} is malformed", "use a-z, A-Z, 0-9, `_` and `-`")

    def _check_body(self, operation: dict[str, Any], pointer: Pointer) -> None:
        at: Pointer = (*pointer, "requestBody")
        if pointer[-1] in METHODS_WITHOUT_BODY:
            problem = f"a {str(pointer[-1]).upper()} request has no body"
            self._findings.add(at, problem, "use query parameters, or the method POST")
            return
        body = operation["requestBody"]
        if "$ref" in body:
            at = parse_reference(body["$ref"])
            body = self._components["requestBodies"][at[-1]]
        self._media_types.check_request(body, at, is_patch=pointer[-1] == "patch")

    def _check_responses(self, operation: dict[str, Any], pointer: Pointer) -> None:
        statuses = [status for status in operation["responses"] if not status.startswith("x-")]
        for status in statuses:
            if status != DEFAULT_RESPONSE and not STATUS_PATTERN.fullmatch(status):
                remedy = "write one response for each status, such as '200'"
                self._findings.add((*pointer, "responses", status), f"the status {status} is not exact", remedy)
        successes = [status for status in statuses if status.startswith("2")]
        contents = {status: self._resolve_response(operation["responses"][status]) for status in successes}
        if any("text/event-stream" in content for content in contents.values()):
            successes = [status for status in successes if status != "204"]
        if len(successes) != 1:
            problem = f"the operation has {len(successes)} success responses"
            self._findings.add((*pointer, "responses"), problem, "write exactly one, with a status such as '200'")
            return
        at: Pointer = (*pointer, "responses", successes[0])
        response = operation["responses"][successes[0]]
        at = parse_reference(response["$ref"]) if "$ref" in response else at
        content = contents[successes[0]]
        if pointer[-1] == "head" and content:
            self._findings.add((*at, "content"), "a response to HEAD has no body", "remove `content`")
        elif successes[0] in ("204", "205") and content:
            self._findings.add((*at, "content"), f"a response {successes[0]} has no body", "use the status 200")
        else:
            self._media_types.check_response(content, (*at, "content"))

    def _resolve_response(self, response: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in response:
            response = self._components["responses"][parse_reference(response["$ref"])[-1]]
        content: dict[str, Any] = response.get("content", {})
        return content

    def _check_extensions(self, operation: dict[str, Any], pointer: Pointer) -> None:
        try:
            parse_deprecation({"operationId": "the operation"} | operation)
        except ContractError as error:
            self._findings.add(pointer, str(error), f"write `{SINCE_EXTENSION}` and `{SUNSET_EXTENSION}` as dates")
        limit = operation.get("x-max-bytes", 1)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_BODY_BYTES:
            problem = f"`x-max-bytes` is no number of bytes from 1 to {MAX_BODY_BYTES}"
            self._findings.add((*pointer, "x-max-bytes"), problem, "correct it")
        if not TIMEOUT_PATTERN.fullmatch(str(operation.get("x-timeout", "1s"))):
            self._findings.add(
                (*pointer, "x-timeout"),
                "`x-timeout` is no time of at most 99999 seconds",
                "write seconds, such as `3s`",
            )
