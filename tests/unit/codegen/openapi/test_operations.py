"""Rules of served operations: paths, tags, security, bodies and responses."""

import pytest

from tests.unit.codegen.openapi.sample_documents import (
    CONTENT,
    OPERATION,
    Json,
    change_document,
    find_errors,
    with_body,
    with_operation,
)

NO_CONTENT = {"204": {"description": "Done."}}


def with_security(*requirements: Json) -> Json:
    return with_operation(security=[*requirements])


@pytest.mark.parametrize(
    "document",
    [
        with_operation(method="head", responses=NO_CONTENT),
        with_operation(responses=OPERATION["responses"] | {"default": {"description": "An error."}}),
        with_operation("/things:batch", method="post", responses=NO_CONTENT),
        with_operation("/things('all')"),
        with_body(CONTENT, method="delete"),
        with_security({"bearer": ["customer"]}, {"bearer": ["admin"]}),
        with_security({"webhook": []}),
        with_security({}, {"bearer": []}),
        with_security({"bearer": []}, {}),
        with_operation(extensions={"x-max-bytes": 100, "x-timeout": "3s"}),
    ],
)
def test_supported_operation_has_no_error(document: Json) -> None:
    assert find_errors(document) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (change_document(paths=None), "document: the document has no `paths`; add it"),
        (change_document(servers=None), "document: the document has no `servers`; add it"),
        (
            with_operation("/a%20b"),
            "path /a%20b: the path is not supported; "
            "begin it with `/`, and use a-z, A-Z, 0-9, unencoded punctuation and `{names}`",
        ),
        (with_operation("/a//b"), "path /a//b: the path is not supported"),
        (
            change_document(paths={"/things": {"servers": [{"url": "/"}], "get": OPERATION}}),
            "path /things: `servers` of a path is not supported; remove it",
        ),
        (
            with_operation(operationId=None),
            "GET /things: the operation has no operationId; add one, such as `getThings`",
        ),
        (with_operation(servers=[{"url": "/"}]), "`servers` of an operation is not supported; remove it"),
        (
            with_operation(tags=None),
            "the operation has no tag; write exactly one, which names the class of its handler",
        ),
        (with_operation(tags=["things", "things"]), "the operation has 2 tags; write exactly one"),
        (
            with_operation(tags=["reviews"]),
            "the tag reviews is not declared; add it to `tags` of the document with a description",
        ),
        (
            with_security({"bearer": ["admin"]}, {}),
            "the optional authentication is not that of any user; write `[{}, {bearer: []}]`, or `[]` for a public",
        ),
        (with_security({}), "the optional authentication is not that of any user"),
        (with_security({}, {"webhook": []}), "the optional authentication is not that of any user"),
        (with_security({"bearer": ["typo"]}), "the role typo is unknown; use one of customer, admin"),
        (with_security({"key": []}), "the security scheme key is not implemented; use bearer or webhook"),
        (with_security({"webhook": ["admin"]}), "the scheme webhook has no roles; write an empty list"),
        (
            with_security({"bearer": []}, {"bearer": ["admin"]}),
            "the alternative without a role permits every role; remove it or the alternatives with roles",
        ),
        (
            with_security({"webhook": []}, {"bearer": ["admin"]}),
            "the alternatives bearer and webhook are not supported; write two operations, or one scheme",
        ),
        (
            with_operation(requestBody={"content": CONTENT}),
            "a GET request has no body; use query parameters, or the method POST",
        ),
        (
            with_operation(responses={"2XX": {"description": "Fine."}} | NO_CONTENT),
            "the status 2XX is not exact; write one response for each status, such as '200'",
        ),
        (
            with_operation(responses={"default": {"description": "Fine."}}),
            "the operation has 0 success responses; write exactly one, with a status such as '200'",
        ),
        (
            with_operation(responses=OPERATION["responses"] | NO_CONTENT),
            "the operation has 2 success responses; write exactly one, with a status such as '200'",
        ),
        (with_operation(method="head"), "a response to HEAD has no body; remove `content`"),
        (
            with_operation(responses={"204": {"description": "Done.", "content": CONTENT}}),
            "a response 204 has no body; use the status 200",
        ),
        (
            with_operation(extensions={"x-max-bytes": "1 MiB"}),
            "`x-max-bytes` is no number of bytes from 1 to 1073741824; correct it",
        ),
        (
            with_operation(deprecated=True),
            "the deprecated operation listThings must have x-deprecated-since and x-sunset; "
            "write `x-deprecated-since` and `x-sunset` as dates",
        ),
        (
            with_operation(extensions={"x-timeout": 3}),
            "`x-timeout` is no time of at most 99999 seconds; write seconds, such as `3s`",
        ),
    ],
)
def test_unsupported_operation_is_an_error(document: Json, error: str) -> None:
    messages = find_errors(document)
    assert any(error in message for message in messages), messages


def test_two_schemes_at_once_are_an_error() -> None:
    errors = find_errors(with_security({"bearer": [], "webhook": []}))
    assert errors[0] == "operation listThings: bearer and webhook at once are not supported; write one of them"


def test_undeclared_scheme_is_an_error() -> None:
    document = with_security({"bearer": []})
    del document["components"]["securitySchemes"]["bearer"]
    error = "operation listThings: the security scheme bearer is not declared; add it to `securitySchemes`"
    assert find_errors(document) == [error]


def test_paths_of_the_same_shape_are_an_error() -> None:
    item = {"get": OPERATION | {"parameters": []}}
    errors = find_errors(change_document(paths={"/a/{x}": item, "/a/{y}": item}))
    remedy = "rename a literal part of one of them, or merge both"
    assert f"path /a/{{y}}: the path matches some or all requests of /a/{{x}}; {remedy}" in errors


@pytest.mark.parametrize("path", ["/a/{x}{y}", "/a/{x}/{x}"])
def test_adjacent_and_repeated_parameters_are_errors(path: str) -> None:
    errors = find_errors(with_operation(path))
    assert any("two parameters are adjacent" in error or "repeats a parameter" in error for error in errors)


def test_operations_of_other_documents_are_not_checked() -> None:
    assert find_errors(with_operation(operationId=None, tags=None), is_served=False) == []


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("bearer", {"type": "apiKey", "in": "query", "name": "token"}), ("webhook", {"type": "http", "scheme": "digest"})],
)
def test_other_declaration_of_a_scheme_is_an_error(name: str, scheme: Json) -> None:
    document = with_security({name: []})
    document["components"]["securitySchemes"][name] = scheme
    (error,) = find_errors(document)
    assert f"the declaration of the security scheme {name} is not the implemented one; write `type: " in error
