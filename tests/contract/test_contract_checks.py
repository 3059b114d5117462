"""Contract checks with injected violations and with compatible changes, and releases of the contracts."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen.checks import Finding, asyncapi, openapi, protobuf, release, spectral
from codegen.checks.__main__ import BREAKING_CHECKS, CONTRACT_CHECKS, ROOT, run_checks
from codegen.checks.release import ReleaseError
from codegen.events.asyncapi import SERVER

CHECKS_BY_NAME = {check.name: check for check in CONTRACT_CHECKS}
DELIVERY = "api-specs/openapi/delivery.yaml"
OPTIONS = "api-specs/proto/delivery/options/v1/options.proto"
EVENTS = "api-specs/proto/delivery/events/v1/events.proto"
ORDERS = "api-specs/proto/delivery/orders/v1/orders.proto"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the current contracts, released as 1.0.0."""
    tmp_path = tmp_path_factory.mktemp("released")
    for name in ("buf.yaml", "redocly.yaml", ".spectral.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "api-specs/proto", tmp_path / "api-specs/proto")
    (tmp_path / "api-specs/openapi").mkdir()
    for stem in ("delivery", "partner-system", "payment-system"):
        shutil.copyfile(ROOT / f"api-specs/openapi/{stem}.yaml", tmp_path / f"api-specs/openapi/{stem}.yaml")
    (tmp_path / "envoy").mkdir()
    shutil.copyfile(ROOT / "envoy/mesh.yaml", tmp_path / "envoy/mesh.yaml")
    (tmp_path / "codegen/checks").mkdir(parents=True)
    shutil.copyfile(ROOT / "codegen/checks/redocly.mjs", tmp_path / "codegen/checks/redocly.mjs")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    release.create_release(tmp_path, "1.0.0", "", has_breaking_changes=False)
    return tmp_path


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    """Return a copy of the released contracts that may be changed."""
    return shutil.copytree(released, tmp_path / "copy", symlinks=True)


def change(root: Path, modify: Callable[[dict[str, Any]], None], file: str = DELIVERY) -> None:
    path = root / file
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    modify(document)
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True), encoding="utf-8")


def replace(root: Path, file: str, *pairs: tuple[str, str]) -> None:
    text = (root / file).read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    (root / file).write_text(text, encoding="utf-8")


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def valid_document() -> dict[str, Any]:
    """Return a document without violations."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Small",
            "version": "1.0.0",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [],
        "tags": [{"name": "things", "description": "Things."}],
        "paths": {
            "/things/{thing}": {
                "parameters": [
                    {
                        "name": "thing",
                        "in": "path",
                        "required": True,
                        "description": "The thing.",
                        "schema": {"type": "string", "pattern": "^[a-z]{1,9}$"},
                    }
                ],
                "post": {
                    "operationId": "doThing",
                    "tags": ["things"],
                    "summary": "Do it",
                    "security": [],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "properties": {
                                        "name": {"type": "string", "maxLength": 9},
                                        "count": {"type": "integer", "minimum": 0, "maximum": 9},
                                        "all": {"type": "array", "maxItems": 9, "items": {"type": "boolean"}},
                                    },
                                    "examples": [{"name": "x"}],
                                }
                            }
                        }
                    },
                    "responses": {"204": {"description": "Done."}, "400": {"description": "Invalid."}},
                },
            }
        },
    }


def operation_node(document: dict[str, Any], *path: str) -> Any:
    node: Any = document["paths"]["/things/{thing}"]["post"]
    for part in path:
        node = node[part]
    return node


BODY = ("requestBody", "content", "application/json", "schema")
VIOLATIONS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "no-operation-id": ("operation-operationId", lambda d: operation_node(d).pop("operationId")),
    "no-tag": ("operation-tag-defined", lambda d: operation_node(d).pop("tags")),
    "two-tags": (
        "operation-singular-tag",
        lambda d: (
            operation_node(d)["tags"].append("others") or d["tags"].append({"name": "others", "description": "Others."})
        ),
    ),
    "unknown-tag": ("operation-tag-defined", lambda d: operation_node(d).update(tags=["others"])),
    "no-security": ("contracts/operation-security", lambda d: operation_node(d).pop("security")),
    "unknown-security": ("security-defined", lambda d: operation_node(d).update(security=[{"nothing": []}])),
    "default-response": (
        "contracts/exact-statuses",
        lambda d: operation_node(d, "responses").update(default={"description": "x"}),
    ),
    "4xx-response": (
        "contracts/exact-statuses",
        lambda d: operation_node(d, "responses").update({"4XX": {"description": "x"}}),
    ),
    "string": ("contracts/bounded-requests", lambda d: operation_node(d, *BODY, "properties", "name").pop("maxLength")),
    "array": ("contracts/bounded-requests", lambda d: operation_node(d, *BODY, "properties", "all").pop("maxItems")),
    "minimum": ("contracts/bounded-requests", lambda d: operation_node(d, *BODY, "properties", "count").pop("minimum")),
    "maximum": ("contracts/bounded-requests", lambda d: operation_node(d, *BODY, "properties", "count").pop("maximum")),
    "path-parameter": (
        "contracts/bounded-requests",
        lambda d: d["paths"]["/things/{thing}"]["parameters"][0]["schema"].update(pattern="^[a-z]+$"),
    ),
    "open": ("contracts/closed-requests", lambda d: operation_node(d, *BODY).pop("additionalProperties")),
    "no-example": ("contracts/request-examples", lambda d: operation_node(d, *BODY).pop("examples")),
    "wrong-example": ("no-invalid-schema-examples", lambda d: operation_node(d, *BODY).update(examples=[{"name": 7}])),
    "no-license": ("info-license", lambda d: d["info"].pop("license")),
    "no-error": ("operation-4xx-response", lambda d: operation_node(d, "responses").pop("400")),
    "enum-type": (
        "no-enum-type-mismatch",
        lambda d: operation_node(d, *BODY, "properties", "name").update(enum=["x", 7]),
    ),
    "no-summary": ("operation-summary", lambda d: operation_node(d).pop("summary")),
    "no-description": (
        "parameter-description",
        lambda d: d["paths"]["/things/{thing}"]["parameters"][0].pop("description"),
    ),
    "dangling": (
        "no-unresolved-refs",
        lambda d: operation_node(d, "responses").update({"204": {"$ref": "#/components/x"}}),
    ),
}


def test_openapi_lint_reports_exactly_the_injected_violations(copy: Path) -> None:
    shutil.rmtree(copy / "api-specs/openapi")
    for name, (_, inject) in {"valid": ("", lambda d: None), **VIOLATIONS}.items():
        document = valid_document()
        inject(document)
        path = copy / f"api-specs/openapi/{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
    findings = openapi.lint(copy)
    by_file: dict[str, set[str]] = {}
    for finding in findings:
        by_file.setdefault(Path(finding.location.split()[0]).stem, set()).add(finding.rule)
    assert by_file == {name: {rule} for name, (rule, _) in VIOLATIONS.items()}
    report = CHECKS_BY_NAME["openapi-lint"].format_findings(findings)
    assert "openapi-lint: api-specs/openapi/no-tag.yaml" in report
    assert "openapi-lint: fix: " in report


def test_lint_covers_the_generated_document_of_webhooks(copy: Path) -> None:
    document = valid_document()
    document["tags"] = []
    path = copy / "generated/openapi/webhooks.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    for findings in (openapi.lint(copy), spectral.lint(copy)):
        assert {re.split("[: ]", each.location)[0] for each in findings} == {"generated/openapi/webhooks.yaml"}


def violate_spectral_rules(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    document["info"].pop("contact")
    document["servers"].append({"url": "http://api.delivery.test", "description": "Local.", "x-internal": True})
    document["components"]["securitySchemes"]["bearer"]["description"] = "A token."
    document["paths"]["/orders"]["post"]["security"] = []
    document["paths"]["/orders"]["get"].pop("description")
    schemas["Order"]["properties"]["items"].pop("maxItems")
    schemas["Order"]["properties"]["version"].pop("maximum")
    schemas["Order"]["properties"]["version"].pop("format")


def test_spectral_reports_exactly_the_injected_violations(copy: Path) -> None:
    assert spectral.lint(copy) == []
    change(copy, violate_spectral_rules)
    findings = spectral.lint(copy)
    assert rules(findings) == {
        "info-contact",
        "operation-description",
        "owasp:api2:2023-jwt-best-practices",
        "owasp:api2:2023-write-restricted",
        "owasp:api4:2023-array-limit",
        "owasp:api4:2023-integer-format",
        "owasp:api4:2023-integer-limit",
        "owasp:api8:2023-no-server-http",
    }
    report = CHECKS_BY_NAME["openapi-spectral"].format_findings(findings)
    assert f"openapi-spectral: {DELIVERY}:" in report


def test_every_exception_of_spectral_is_needed(copy: Path) -> None:
    shutil.rmtree(copy / "api-specs/openapi")
    shutil.copytree(ROOT / "api-specs/openapi", copy / "api-specs/openapi")
    ruleset = yaml.load((copy / spectral.RULESET).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    exceptions = set(ruleset.pop("rules")).union(*(each["rules"] for each in ruleset.pop("overrides")))
    (copy / spectral.RULESET).write_text(yaml.safe_dump(ruleset), encoding="utf-8")
    assert rules(spectral.lint(copy)) == exceptions


def test_asyncapi_validation_reports_the_injected_violations(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncapi.validate(ROOT) == []
    server = SERVER | {"security": [{"$ref": "#/components/securitySchemes/missing"}]}
    monkeypatch.setattr("codegen.events.asyncapi.SERVER", server)
    monkeypatch.setattr("codegen.events.asyncapi.build_headers_schema", lambda: {"type": "headers"})
    findings = asyncapi.validate(ROOT)
    assert rules(findings) == {"invalid-ref", "asyncapi-document-resolved"}
    report = CHECKS_BY_NAME["asyncapi-validation"].format_findings(findings)
    assert "asyncapi-validation: generated/asyncapi/delivery.yaml:" in report


def break_openapi(document: dict[str, Any]) -> None:
    paths, schemas = document["paths"], document["components"]["schemas"]
    del paths["/password-resets"]
    del paths["/users/me"]["delete"]
    paths["/sessions"]["post"]["operationId"] = "signInAgain"
    paths["/catalog"]["get"]["parameters"][2]["required"] = True
    del paths["/catalog"]["get"]["parameters"][3]
    paths["/banks"]["get"]["security"] = [{"bearer": ["admin"]}]
    del paths["/users/me"]["get"]["responses"]["200"]["headers"]["ETag"]
    del paths["/users/me/email"]["post"]["responses"]["404"]
    paths["/sessions/refresh"]["post"]["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    schemas["EmailOnly"]["required"].append("captcha")
    schemas["EmailOnly"]["properties"]["captcha"] = {"type": "string", "maxLength": 5}
    schemas["Password"]["minLength"] = 10
    schemas["SignUpRequest"]["properties"]["role"]["enum"].remove("deliverer")
    del schemas["SignUpRequest"]["properties"]["locale"]
    schemas["Session"]["required"].remove("refresh_token")
    schemas["Session"]["properties"]["access_token"] = {"type": "integer"}


def test_openapi_breaking_reports_each_kind_of_change(copy: Path) -> None:
    change(copy, break_openapi)
    findings = openapi.find_breaking_changes(copy)
    assert rules(findings) == {
        "path-removed",
        "operation-removed",
        "operation-id-changed",
        "parameter-became-required",
        "parameter-removed",
        "security-requirement-changed",
        "response-header-removed",
        "response-removed",
        "media-type-removed",
        "required-properties-added",
        "required-properties-removed",
        "schema-constraint-changed",
        "schema-type-changed",
        "enum-values-removed",
        "property-removed",
    }
    report = CHECKS_BY_NAME["openapi-breaking"].format_findings(findings)
    assert f"openapi-breaking: {DELIVERY}:" in report
    assert "make contracts-release VERSION=" in report


def test_accepted_change_is_released_as_minor_version(copy: Path) -> None:
    def change_patterns(document: dict[str, Any]) -> None:
        document["components"]["schemas"]["BankId"]["pattern"] = "^[a-z]+$"
        document["components"]["schemas"]["Category"]["pattern"] = "^[a-z]+$"

    entry = {"rule": "schema-constraint-changed", "change": "changed from '^[a-z0-9-]+$' to '^[a-z]+$'", "reason": "x"}
    accepted = copy / openapi.ACCEPTED_CHANGES
    accepted.write_text(f"# Accepted.\n{yaml.dump([entry])}", encoding="utf-8")
    change(copy, change_patterns)
    findings = openapi.find_breaking_changes(copy)
    assert {finding.message.split(" ")[2] for finding in findings} == {"`Category`"}
    impacts = [each["impact"] for each in openapi.list_changes(copy)]
    assert {"minor", "major"} <= set(impacts)
    release.create_release(copy, "2.0.0", "", has_breaking_changes=True)
    assert accepted.read_text(encoding="utf-8") == "# Accepted.\n"
    assert openapi.load_accepted_changes(copy) == []


def extend_openapi(document: dict[str, Any]) -> None:
    paths, schemas = document["paths"], document["components"]["schemas"]
    schemas["User"]["properties"]["nickname"] = {"type": "string"}
    schemas["OrderStatus"]["enum"].append("lost")
    schemas["SignUpRequest"]["properties"]["nickname"] = {"type": "string", "maxLength": 9}
    paths["/catalog"]["get"]["parameters"].append(
        {"name": "brand", "in": "query", "description": "Brand.", "schema": {"type": "string", "maxLength": 9}}
    )
    paths["/things"] = {"get": {**paths["/catalog"]["get"], "operationId": "listThings"}}


def extend_protos(root: Path) -> None:
    (root / EVENTS).write_text(
        (root / EVENTS).read_text(encoding="utf-8") + "\n// Something happened.\nmessage ThingHappened {\n"
        '  option (delivery.options.v1.event) = {\n    type: "things.happened"\n    producer: CALLER_ORDERS\n'
        '    queues: ["orders.history"]\n    subject: "thing_id"\n  };\n  // The thing.\n  string thing_id = 1;\n}\n',
        encoding="utf-8",
    )
    replace(root, EVENTS, ("  int32 quantity = 3;\n", "  int32 quantity = 3;\n  // A note.\n  string note = 4;\n"))


def test_compatible_change_is_released_as_minor_version(copy: Path) -> None:
    change(copy, extend_openapi)
    extend_protos(copy)
    assert run_checks(BREAKING_CHECKS, copy) == []
    assert release.create_release(copy, "", "Things. " * 20, has_breaking_changes=False) == "1.1.0"
    changelog = (copy / release.CHANGELOG).read_text(encoding="utf-8")
    assert (
        changelog.index("## 1.1.0")
        < changelog.index("- Things.")
        < changelog.index("Added the event things.happened")
        < changelog.index("## 1.0.0")
    )
    assert max(map(len, changelog.splitlines())) <= 100
    assert (copy / "api-specs/released/VERSION").read_text(encoding="utf-8") == "1.1.0\n"
    with pytest.raises(ReleaseError, match="no changes"):
        release.create_release(copy, "", "", has_breaking_changes=False)


def test_release_without_a_newer_option_is_readable(copy: Path) -> None:
    current = {name: (copy / name).read_text(encoding="utf-8") for name in (OPTIONS, EVENTS)}
    for name, text in current.items():
        (copy / name).write_text(re.sub(r".*priority_queue.*\n", "", text), encoding="utf-8")
    assert (
        protobuf.run_buf(copy, "build", "--as-file-descriptor-set", "-o", str(protobuf.RELEASED_IMAGE)).returncode == 0
    )
    for name, text in current.items():
        (copy / name).write_text(text, encoding="utf-8")
    assert protobuf.find_breaking_event_changes(copy) == []


def test_partner_system_breaking_changes_are_reported(copy: Path) -> None:
    def remove_property(document: dict[str, Any]) -> None:
        document["components"]["schemas"]["PartnerOrder"]["properties"].pop("callback_url")
        document["components"]["schemas"]["PartnerOrder"]["required"].remove("callback_url")

    change(copy, remove_property, "api-specs/openapi/partner-system.yaml")
    assert "property-removed" in rules(openapi.find_breaking_changes(copy))


def test_proto_checks_report_injected_violations(copy: Path) -> None:
    replace(copy, EVENTS, ("  // The product.\n  int64 product_id = 1;", "  int64 productId = 1;"))
    lint_findings = protobuf.lint(copy)
    assert rules(lint_findings) == {"COMMENT_FIELD", "FIELD_LOWER_SNAKE_CASE"}
    assert f"proto-lint: {EVENTS}:" in CHECKS_BY_NAME["proto-lint"].format_findings(lint_findings)
    replace(copy, EVENTS, ("  int64 productId = 1;", "    int64   productId = 1;"))
    format_findings = protobuf.check_format(copy)
    assert rules(format_findings) == {"format"}
    assert "proto-format: fix: make format" in CHECKS_BY_NAME["proto-format"].format_findings(format_findings)


def test_proto_breaking_reports_each_kind_of_change(copy: Path) -> None:
    text = (copy / ORDERS).read_text(encoding="utf-8")
    rpc = text[text.index("  rpc ") :]
    name = rpc.split()[1].split("(")[0]
    replace(copy, ORDERS, (f"  rpc {name}", f"  rpc {name}Again"))
    replace(
        copy, EVENTS, ("int64 product_id = 1;", "string product_id = 1;"), ("string title = 2;", "string name = 2;")
    )
    replace(copy, EVENTS, ("  // 1 to 99.\n  int32 quantity = 3;\n", ""))
    findings = protobuf.find_breaking_changes(copy)
    assert rules(findings) >= {"RPC_NO_DELETE", "FIELD_SAME_TYPE", "FIELD_SAME_NAME", "FIELD_NO_DELETE"}
    assert f"proto-breaking: {EVENTS}:" in CHECKS_BY_NAME["proto-breaking"].format_findings(findings)


def test_events_breaking_reports_each_kind_of_change(copy: Path) -> None:
    email_policy = '    producer: CALLER_GATEWAY\n    queues: ["notifications.mail"]\n    subject: "user_id"'
    replace(
        copy,
        EVENTS,
        (email_policy, '    producer: CALLER_ORDERS\n    queues: ["orders.mail"]\n    subject: "email"'),
        ('type: "users.registered"', 'type: "users.signed-up"'),
        ("message UserUpdated {", "message UserChanged {"),
        ("  // Product title at the time of confirmation.\n  string title = 2;\n", ""),
        ("int32 quantity = 3;", "int64 quantity = 3;"),
    )
    findings = protobuf.find_breaking_event_changes(copy)
    assert rules(findings) == {
        "event-removed",
        "event-message-changed",
        "event-producer-changed",
        "event-queue-removed",
        "event-subject-changed",
        "event-field-removed",
        "event-field-changed",
    }
    report = CHECKS_BY_NAME["events-breaking"].format_findings(findings)
    assert f"events-breaking: {EVENTS}: The event users.registered" in report


def test_events_breaking_check_covers_envelope(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.events.asyncapi.get_exchange", lambda contracts: "other.events")
    monkeypatch.setattr("codegen.events.asyncapi.ATTRIBUTES", {"id": "Id of the event."})
    assert rules(protobuf.find_breaking_event_changes(copy)) == {"event-address-changed", "event-header-removed"}


def test_breaking_release_requires_major_version(copy: Path) -> None:
    replace(copy, EVENTS, ('type: "users.registered"', 'type: "users.signed-up"'))
    for version in ("", "1.1.0", "1.0.1"):
        with pytest.raises(ReleaseError, match=r"VERSION=2\.0\.0"):
            release.create_release(copy, version, "", has_breaking_changes=True)
    with pytest.raises(ReleaseError, match="is not greater than"):
        release.create_release(copy, "0.9.0", "", has_breaking_changes=True)
    with pytest.raises(ReleaseError, match="is not a version"):
        release.create_release(copy, "next", "", has_breaking_changes=True)
    assert (copy / "api-specs/released/VERSION").read_text(encoding="utf-8") == "1.0.0\n"
    assert release.create_release(copy, "2.0.0", "", has_breaking_changes=True) == "2.0.0"
    assert run_checks(BREAKING_CHECKS, copy) == []
