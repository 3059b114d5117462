"""Insertions into existing files and their removal."""

import pytest

from codegen.contracts import ContractError
from codegen.scaffold.edits import Edit

CONTENT = "names: [a, z]\nfirst\n  item b\n  item d\nsecond\n  item f\n"


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        ({"before": "second"}, "new\n", "names: [a, z]\nfirst\n  item b\n  item d\nnew\nsecond\n  item f\n"),
        ({"after": "item"}, "new\n", "names: [a, z]\nfirst\n  item b\nnew\n  item d\nsecond\n  item f\n"),
        ({"after": "item", "last": True}, "new\n", f"{CONTENT}new\n"),
        ({"after": "item", "within": "second"}, "new\n", f"{CONTENT}new\n"),
        ({"sorted": "  item "}, "  item c\n", "names: [a, z]\nfirst\n  item b\n  item c\n  item d\nsecond\n  item f\n"),
        ({"sorted": "  item "}, "  item z\n", f"{CONTENT}  item z\n"),
        (
            {"sorted": "  item ", "within": "first", "before": "second"},
            "  item e\n",
            "names: [a, z]\nfirst\n  item b\n  item d\n  item e\nsecond\n  item f\n",
        ),
        (
            {"sorted": "  item ", "within": "second"},
            "  item c\n",
            "names: [a, z]\nfirst\n  item b\n  item d\nsecond\n  item c\n  item f\n",
        ),
        (
            {"line": "names:", "before": "z]"},
            "new, ",
            "names: [a, new, z]\nfirst\n  item b\n  item d\nsecond\n  item f\n",
        ),
    ],
)
def test_text_is_inserted_at_its_place_and_removed(place: dict[str, object], text: str, expected: str) -> None:
    edit = Edit("a.txt", text, **place)  # type: ignore[arg-type]
    assert edit.insert(CONTENT) == expected
    assert edit.remove(expected) == CONTENT


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"before": "third"}, "a.txt: no line begins with 'third', where the service is added"),
        ({"after": "first", "within": "second"}, "a.txt: no line begins with 'first', where the service is added"),
        ({"line": "names:", "before": "y]"}, "a.txt:1: the line does not contain y]"),
    ],
)
def test_missing_place_is_an_error(place: dict[str, object], message: str) -> None:
    with pytest.raises(ContractError) as raised:
        Edit("a.txt", "new\n", **place).insert(CONTENT)  # type: ignore[arg-type]
    assert str(raised.value) == message


@pytest.mark.parametrize("content", [CONTENT, f"{CONTENT}  new: 1\n  new: 1\n"], ids=["missing", "twice"])
def test_changed_text_is_not_removed(content: str) -> None:
    with pytest.raises(ContractError, match=r"a\.txt: the lines from 'new: 1' are not as scaffolded"):
        Edit("a.txt", "  new: 1\n", after="item").remove(content)
