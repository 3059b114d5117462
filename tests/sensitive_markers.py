"""Generated secrets and personal data, put into all texts of requests and searched in logs."""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

type Schema = Mapping[str, Any]


class SensitiveMarkers:
    """Generator of values that contain a unique marker."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self._contract = contract
        self._marker = secrets.token_hex(6)
        self._phone = f"+49151{secrets.randbelow(10**9):09}"
        self._other_secrets: set[str] = set()

    @property
    def marker(self) -> str:
        """The unique marker."""
        return self._marker

    @property
    def phone(self) -> str:
        """A unique phone number."""
        return self._phone

    def make_text(self, label: str) -> str:
        """Return a text with the label and the marker."""
        return f"{label} {self._marker}"

    def make_email(self, role: str) -> str:
        """Return an e-mail address with the marker."""
        return f"{role}-{self._marker}@delivery.test"

    def make_coordinates(self) -> dict[str, float]:
        """Return a unique position."""
        latitude, longitude = (secrets.randbelow(8 * 10**9) / 10**8 + 10 for _ in range(2))
        self.add_secrets(str(latitude), str(longitude))
        return {"latitude": latitude, "longitude": longitude}

    def add_secrets(self, *secret_values: str | None) -> None:
        """Add secrets from other sources: tokens, codes and webhook secrets."""
        self._other_secrets.update(value for value in secret_values if value and len(value) > 5)

    def list_encodings(self) -> set[str]:
        """Return all sensitive values in every encoding that a log may contain."""
        plain = {self._marker, self._phone, self._phone[1:], *self._other_secrets}
        encoded = {encode(value) for value in plain for encode in (quote, _escape_json, _encode_base64_prefix)}
        return plain | encoded

    def generate_value(self, schema: Schema, name: str = "value") -> Any:
        """Return a value that is valid for the schema, with the marker in all texts."""
        while "$ref" in schema:
            node: Any = self._contract
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        for combined in ("oneOf", "anyOf", "allOf"):
            if combined in schema:
                return self.generate_value(schema[combined][0], name)
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        kind = kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind != "null")
        match kind:
            case "object":
                return {key: self.generate_value(value, key) for key, value in schema.get("properties", {}).items()}
            case "array":
                return [self.generate_value(schema["items"], name)]
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "boolean":
                return True
        return self._generate_string(schema, name)

    def _generate_string(self, schema: Schema, name: str) -> str:
        if "const" in schema or "enum" in schema:
            return str(schema.get("const") or schema["enum"][0])
        formats = {
            "email": self.make_email(name),
            "date": "1987-03-14",
            "uri": f"https://{self._marker}.example/{name}",
        }
        if schema.get("format") in formats:
            return formats[schema["format"]]
        candidates = (self.make_text(name), self._marker, self._phone, "USD", "de", "Europe/Berlin", "22:00", "A" * 10)
        pattern, lengths = (
            schema.get("pattern", ""),
            range(schema.get("minLength", 0), schema.get("maxLength", 10**6) + 1),
        )
        valid = (text for text in candidates if len(text) in lengths and re.search(pattern, text))
        return next(valid, self._marker)


def _escape_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _encode_base64_prefix(text: str) -> str:
    """Encode without the last characters, which depend on the text that follows."""
    return base64.b64encode(text.encode()).decode().rstrip("=")[:-1]


def find_leaks(logs: Mapping[Path, int], encodings: set[str]) -> Iterator[str]:
    """Yield file and line of each occurrence of the texts in logs, searching from an offset per log."""
    for path, offset in logs.items():
        with path.open("rb") as log:
            log.seek(offset)
            for line in log.read().decode(errors="replace").splitlines():
                if any(text in line for text in encodings):
                    yield f"{path.name}: {line[:2000]}"
