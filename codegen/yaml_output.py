"""YAML form of generated files."""

from typing import Any, override

import yaml


class _NoAliasDumper(yaml.CSafeDumper):
    """Dumper without anchors and aliases, which Envoy does not accept."""

    @override
    def represent_data(self, data: Any) -> yaml.Node:
        """Return the node of a value. The representation of the base class takes longer, because it finds aliases."""
        represent = self.represent_data
        if type(data) is dict:
            pairs = [(represent(key), represent(value)) for key, value in data.items()]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
        if type(data) is list:
            return yaml.SequenceNode("tag:yaml.org,2002:seq", [represent(item) for item in data], flow_style=False)
        return super().represent_data(data)

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_yaml(header: str, *documents: Any, width: int = 120) -> str:
    """Return the documents as YAML below a header comment, keys in their order."""
    body: str = yaml.dump_all(documents, Dumper=_NoAliasDumper, sort_keys=False, allow_unicode=True, width=width)
    return header + body
