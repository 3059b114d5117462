"""Insertions into existing files, which can be removed again."""

from pathlib import Path

import msgspec
import yaml

from codegen.contracts import ContractError


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text that is inserted into a file; templates/edits.yaml describes the fields."""

    file: str
    text: str
    before: str = ""
    after: str = ""
    within: str = ""
    line: str = ""
    sorted: str = ""
    last: bool = False

    def insert(self, content: str) -> str:
        """Return the content with the text. Raises ContractError if the place does not exist."""
        lines = content.splitlines(keepends=True)
        if self.line:
            index = self._find(lines, self.line)
            start, found, end = lines[index].partition(self.before)
            if not found:
                raise ContractError(f"{self.file}:{index + 1}: the line does not contain {self.before}")
            lines[index] = f"{start}{self.text}{found}{end}"
        else:
            lines.insert(self._find_index(lines), self.text)
        return "".join(lines)

    def _find_index(self, lines: list[str]) -> int:
        start_index = self._find(lines, self.within) + 1 if self.within else 0
        if self.sorted:
            end_index = self._find(lines, self.before, start_index) if self.before else len(lines)
            section = enumerate(lines[start_index:end_index], start_index)
            return next((i for i, line in section if line.startswith(self.sorted) and line > self.text), end_index)
        index = self._find(lines, self.before or self.after, start_index)
        return index if self.before else index + 1

    def remove(self, content: str, *, keep_lines: bool = False) -> str:
        """Return the content without the text; with `keep_lines`, with empty lines in its place.

        Raises ContractError unless the content has the text exactly once.
        """
        replacement = "\n" * self.text.count("\n") if keep_lines else ""
        if self.line:
            lines = content.splitlines(keepends=True)
            index = self._find(lines, self.line)
            self._check(lines[index])
            lines[index] = lines[index].replace(self.text, replacement)
            return "".join(lines)
        self._check(content)
        return content.replace(self.text, replacement)

    def _check(self, content: str) -> None:
        if content.count(self.text) != 1:
            first_line = self.text.strip().splitlines()[0].strip()
            raise ContractError(
                f"{self.file}: the lines from {first_line!r} are not as scaffolded; remove them by hand"
            )

    def _find(self, lines: list[str], beginning: str, start_index: int = 0) -> int:
        """Return the index of a line that begins with the text, ignoring indentation."""
        found = [
            index for index, each in enumerate(lines) if index >= start_index and each.lstrip().startswith(beginning)
        ]
        if not found:
            raise ContractError(f"{self.file}: no line begins with {beginning!r}, where the service is added")
        return found[-1 if self.last else 0]


def load_edits(path: Path) -> list[Edit]:
    """Return the edits of a file."""
    return msgspec.convert(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader), list[Edit])
