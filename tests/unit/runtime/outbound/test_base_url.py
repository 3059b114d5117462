"""Base URLs of third parties: validation and joining."""

from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.outbound import base_url


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("https://bank.example/api", "https://bank.example/api"),
        ("https://bank.example", "https://bank.example"),
        ("https://bank.example//", "https://bank.example"),
        ("https://BANK.example:443/a/", "https://bank.example/a"),
        ("http://127.0.0.1:8090/bank/visa", "http://127.0.0.1:8090/bank/visa"),
        ("http://[::1]:8090/x", "http://[::1]:8090/x"),
        ("https://münchen.example/x", "https://xn--mnchen-3ya.example/x"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("https://bank.example:65535", "https://bank.example:65535"),
        ("http://localhost:8090", "http://localhost:8090"),
    ],
)
def test_valid_base_url_is_normalised(url: str, normalised: str) -> None:
    assert base_url.normalise_base_url(url) == normalised
    assert base_url.normalise_base_url(normalised) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example:99999",
        "https://bank.example:0/x",
        "https://xn--a/x",
        "https://bank.example/refunds?key=1",
        "https://bank.example?",
        "https://bank.example#",
        "https://bank.example/x#y",
        "https://user:secret@bank.example",
        "https://@bank.example",
        "https://bank..example",
        "https://-bank.example",
        "https://my_bank.example",
        f"https://{'a' * 64}.example",
        f"https://{'.'.join(['a' * 60] * 5)}",
        "https:///bank.example",
        "https:bank.example",
        "https://",
        "https://bank.example\\x",
        "https://bank.example/a b",
        " https://bank.example",
        "ftp://bank.example",
        "bank.example",
        "",
    ],
)
def test_invalid_base_url_raises(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|contains) "):
        base_url.normalise_base_url(url)


def test_query_is_retained_where_it_is_allowed() -> None:
    assert base_url.normalise_base_url("https://bank.example/pay/?shop=1", allows_query=True) == (
        "https://bank.example/pay?shop=1"
    )


@pytest.mark.parametrize(
    "base", ["https://bank.example/api", "https://bank.example/api/", "https://bank.example/api?key=1#x"]
)
def test_joined_path_is_below_path_of_base_url(base: str) -> None:
    url = base_url.build_url(base, "/orders/a%2Fb/cancellation")
    assert str(url) == "https://bank.example/api/orders/a%2Fb/cancellation"


@pytest.mark.parametrize("base", ["https://bank.example:99999", "https://xn--a/x"])
def test_path_joined_to_invalid_url_raises(base: str) -> None:
    with pytest.raises(httpx.InvalidURL):
        base_url.build_url(base, "/refunds")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bank.example/pay", "https://bank.example/pay?order_id=a%2Bb&amount=1"),
        ("https://bank.example/pay?", "https://bank.example/pay?order_id=a%2Bb&amount=1"),
        ("https://bank.example/pay?shop=1", "https://bank.example/pay?shop=1&order_id=a%2Bb&amount=1"),
    ],
)
def test_query_parameters_are_added_to_url(url: str, expected: str) -> None:
    assert base_url.add_query(url, {"order_id": "a+b", "amount": 1}) == expected


QUERY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(
    base=st.sampled_from(["https://bank.example", "https://bank.example/", "http://bank.example:8080/a%20b/pay"]),
    query=st.lists(st.tuples(st.sampled_from(["a", "b", "ü"]), QUERY_TEXTS)),
    parameters=st.dictionaries(st.sampled_from(["a", "c"]) | QUERY_TEXTS, QUERY_TEXTS, min_size=1),
)
def test_added_query_parameters_replace_those_of_their_name(
    base: str, query: list[tuple[str, str]], parameters: dict[str, str]
) -> None:
    added = base_url.add_query(f"{base}?{urlencode(query)}" if query else base, parameters)
    path, _, encoded = added.partition("?")
    retained = [(name, value) for name, value in query if name not in parameters]
    assert (path, parse_qsl(encoded, keep_blank_values=True)) == (base, [*retained, *parameters.items()])


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("https://app.example/orders/?tab=1#/x", "https://app.example/orders/?tab=1#/x"),
        ("https://APP.example:443", "https://app.example/"),
        ("http://localhost:3000/orders", "http://localhost:3000/orders"),
    ],
)
def test_url_of_registered_origin_is_normalised(url: str, normalised: str) -> None:
    assert base_url.normalise_url_of_origin(url, ["https://app.example", "http://localhost:3000"]) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/",
        "https://app.example:444/",
        "https://app.example.evil.example/",
        "https://app.examples/",
        "https://app.example@evil.example/",
        "https://evil.example/https://app.example/",
        "https://evil.example\\@app.example/",
        "https:/app.example/",
        "https:evil.example/",
        "//app.example/",
        "https://app.example\t.evil.example/",
        "javascript:alert(1)//https://app.example/",
        "",
    ],
)
def test_url_of_other_origin_raises(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|contains) "):
        base_url.normalise_url_of_origin(url, ["https://app.example"])


def test_url_without_registered_origins_raises() -> None:
    with pytest.raises(ValueError, match="registered origin"):
        base_url.normalise_url_of_origin("https://app.example/", ())
