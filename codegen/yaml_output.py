"""YAML form of generated files."""

from typing import Any

import yaml


class _NoAliasDumper(yaml.CSafeDumper):
    """Dumper without anchors and aliases, which Envoy does not accept."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_yaml(header: str, *documents: Any, width: int = 120) -> str:
    """Return the documents as YAML below a header comment, keys in their order."""
    body: str = yaml.dump_all(documents, Dumper=_NoAliasDumper, sort_keys=False, allow_unicode=True, width=width)
    return header + body
