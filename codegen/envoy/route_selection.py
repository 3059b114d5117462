"""Selection of a route by the prefix of the path, so that Envoy does not compare a request with all routes in turn.

Envoy evaluates the header matchers of a route before its path, so that a long list of routes takes a regular expression
for each of them. A matcher tree finds the routes of the longest prefix first, and compares only these in their order.
"""

import re
from collections.abc import Collection, Iterable

from codegen.envoy.common import Config, build_typed_config

ANY_SEGMENT = "[^/]+"
"""Pattern of a parameter in the path of a route."""

_PATH_INPUT: Config = {
    "name": "path",
    "typed_config": build_typed_config("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=":path"),
}


def build_route_matcher(routes: Collection[Config], prefixes: Iterable[str]) -> Config:
    """Return a matcher that selects the same route as the first match in `routes`.

    Each prefix has its routes, in their order, and those that match paths with other prefixes as well.
    """
    groups = {
        prefix: [route for route in routes if is_candidate(route["match"], prefix)] for prefix in sorted(set(prefixes))
    }
    others = [route for route in routes if not any(is_limited_to(route["match"], prefix) for prefix in groups)]
    return {
        "matcher_tree": {
            "input": _PATH_INPUT,
            "prefix_match_map": {"map": {prefix: _build_match(group) for prefix, group in groups.items()}},
        },
        "on_no_match": _build_match(others),
    }


def _build_match(routes: list[Config]) -> Config:
    return {
        "action": {"name": "routes", "typed_config": build_typed_config("config.route.v3.RouteList", routes=routes)}
    }


def list_routes(host: Config) -> list[Config]:
    """Return the routes of a virtual host: those of its list, or of its matcher, once if several prefixes have them."""
    routes: list[Config] = host.get("routes", [])
    for group in list_route_groups(host):
        names = {route["name"] for route in routes}
        routes = [*routes, *(route for route in group if route["name"] not in names)]
    return routes


def list_route_groups(host: Config) -> list[list[Config]]:
    """Return the routes of each prefix of a virtual host's matcher, and those of all other paths."""
    if "matcher" not in host:
        return []
    matcher = host["matcher"]
    matches = [*matcher["matcher_tree"]["prefix_match_map"]["map"].values(), matcher["on_no_match"]]
    return [match["action"]["typed_config"]["routes"] for match in matches]


def is_candidate(match: Config, prefix: str) -> bool:
    """Return whether a route may match a path that begins with the prefix."""
    start = get_literal_start(match)
    return start.startswith(prefix) or ("path" not in match and prefix.startswith(start))


def is_limited_to(match: Config, prefix: str) -> bool:
    """Return whether all paths that a route matches begin with the prefix."""
    return get_literal_start(match).startswith(prefix)


def get_literal_start(match: Config) -> str:
    """Return the text with which all paths that a route matches begin."""
    if "safe_regex" in match:
        pattern: str = match["safe_regex"]["regex"]
        return re.sub(r"\\(.)", r"\1", pattern.split(ANY_SEGMENT, maxsplit=1)[0])
    start: str = match.get("path") or match.get("prefix") or match["path_separated_prefix"]
    return start
