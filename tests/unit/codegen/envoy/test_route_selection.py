"""Selection of routes by the prefix of the path."""

import re
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from codegen.envoy.common import Config
from codegen.envoy.edge import build_path_matcher
from codegen.envoy.route_selection import build_route_matcher, list_route_groups, list_routes

SEGMENTS = st.sampled_from(["a", "ab", "b.c", "d-e"])
PREFIXES = st.lists(SEGMENTS.map(lambda segment: f"/v1/{segment}"), unique=True, max_size=3)
PATHS = st.lists(SEGMENTS, max_size=3).map(lambda parts: "/".join(["/v1", *parts]))
TEMPLATES = st.lists(SEGMENTS | st.just("{id}"), min_size=1, max_size=3).map(lambda parts: "/".join(["/v1", *parts]))
MATCHES = (
    TEMPLATES.map(build_path_matcher)
    | PATHS.map(lambda path: {"prefix": path})
    | PATHS.map(lambda path: {"path_separated_prefix": path})
)


def matches(match: Config, path: str) -> bool:
    if "path" in match:
        return bool(match["path"] == path)
    if "prefix" in match:
        return path.startswith(match["prefix"])
    if "path_separated_prefix" in match:
        return f"{path}/".startswith(f"{match['path_separated_prefix']}/")
    return re.fullmatch(match["safe_regex"]["regex"], path) is not None


def select(routes: Iterable[Config], path: str) -> str | None:
    return next((route["name"] for route in routes if matches(route["match"], path)), None)


def select_by_matcher(matcher: Config, path: str) -> str | None:
    """Return the route that Envoy selects: the first match of the longest prefix, without one that of all others."""
    groups: dict[str, Config] = matcher["matcher_tree"]["prefix_match_map"]["map"]
    prefix = max((each for each in groups if path.startswith(each)), key=len, default=None)
    match = matcher["on_no_match"] if prefix is None else groups[prefix]
    return select(match["action"]["typed_config"]["routes"], path)


@given(st.lists(MATCHES, max_size=6), PREFIXES, PATHS)
def test_matcher_selects_the_first_match_of_the_list(
    matches_of_routes: list[Config], prefixes: list[str], path: str
) -> None:
    routes = [{"name": str(index), "match": match} for index, match in enumerate(matches_of_routes)]
    assert select_by_matcher(build_route_matcher(routes, prefixes), path) == select(routes, path)


def build_host() -> Config:
    matches_of_routes = {
        "all": {"prefix": "/"},
        "literal": {"path": "/v1/a"},
        "template": build_path_matcher("/v1/a/{id}"),
        "other": {"path": "/docs"},
    }
    routes = [{"name": name, "match": match} for name, match in matches_of_routes.items()]
    return {"matcher": build_route_matcher(routes, ["/v1/a"])}


def test_each_prefix_has_only_routes_that_may_match() -> None:
    names = [[route["name"] for route in group] for group in list_route_groups(build_host())]
    assert names == [["all", "literal", "template"], ["all", "other"]]


def test_routes_of_several_prefixes_are_listed_once() -> None:
    assert [route["name"] for route in list_routes(build_host())] == ["all", "literal", "template", "other"]
    assert list_routes({"routes": [{"name": "only"}]}) == [{"name": "only"}]


def test_repeated_name_in_one_prefix_is_listed_twice() -> None:
    host = build_host()
    list_route_groups(host)[0].append({"name": "literal", "match": {"path": "/v1/a"}})
    assert [route["name"] for route in list_routes(host)].count("literal") == 2
