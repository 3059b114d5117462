"""Secrets and personal data, made up for one test, put wherever a request can hold a text, and found again."""

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
    """Every text it gives out holds a mark that nothing else has."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self._contract = contract
        self._marker = secrets.token_hex(6)
        self._phone = f"+49151{secrets.randbelow(10**9):09}"
        self._other_secrets: set[str] = set()

    @property
    def marker(self) -> str:
        """A text that is nowhere but in what is planted."""
        return self._marker

    @property
    def phone(self) -> str:
        """A number of somebody."""
        return self._phone

    def make_text(self, label: str) -> str:
        """Something of that name, that can be told again."""
        return f"{label} {self._marker}"

    def make_email(self, role: str) -> str:
        """An address of somebody."""
        return f"{role}-{self._marker}@delivery.test"

    def add_secrets(self, *others: str | None) -> None:
        """What others have made up and nobody may log: tokens, codes, webhooks' secrets."""
        self._other_secrets.update(other for other in others if other and len(other) > 5)

    def list_encodings(self) -> set[str]:
        """All of it, in every form in which a log might hold it."""
        plain = {self._marker, self._phone, self._phone[1:], *self._other_secrets}
        coded = {form(each) for each in plain for form in (quote, _escape_json, _encode_base64_prefix)}
        return plain | coded

    def generate_value(self, schema: Schema, name: str = "value") -> Any:
        """A value as the schema wants it, planted all over."""
        while "$ref" in schema:
            found: Any = self._contract
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        for combined in ("oneOf", "anyOf", "allOf"):
            if combined in schema:
                return self.generate_value(schema[combined][0], name)
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        kind = kinds if isinstance(kinds, str) else next(each for each in kinds if each != "null")
        match kind:
            case "object":
                return {key: self.generate_value(each, key) for key, each in schema.get("properties", {}).items()}
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
        pattern, least, most = schema.get("pattern", ""), schema.get("minLength", 0), schema.get("maxLength", 10**6)
        fitting = (each for each in candidates if least <= len(each) <= most and re.search(pattern, each))
        return next(fitting, self._marker)


def _escape_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _encode_base64_prefix(text: str) -> str:
    """Without the last characters, which depend on what follows."""
    return base64.b64encode(text.encode()).decode().rstrip("=")[:-1]


def find_leaks(logs: Mapping[Path, int], encodings: set[str]) -> Iterator[str]:
    """Where a log, from an offset on, holds any of the texts; each as the file and the line."""
    for path, offset in logs.items():
        with path.open("rb") as log:
            log.seek(offset)
            for line in log.read().decode(errors="replace").splitlines():
                if any(form in line for form in encodings):
                    yield f"{path.name}: {line[:2000]}"
