"""Types and defaults of optional fields of generated models."""

import pytest

from codegen.rest.model_fields import normalise_optional_fields

GENERATED = '''\
class Note(Struct, kw_only=True):
    """A note in “quotes”."""

    id: str
    text: str | UnsetType = UNSET
    colour: str | UnsetType = 'red'
    class_: int | UnsetType = field(name='class', default=3)
    async_: int | UnsetType = field(name='async', default=UNSET)
    size: (
        Annotated[int, Meta(ge=1)]
        | UnsetType
    ) = 1


class NotePatch(Struct, kw_only=True):
    text: str | UnsetType | None = UNSET

    colour: Colour | UnsetType = field(default_factory=lambda: Colour('red'))
    class_: int | UnsetType = field(name='class', default=3)


Colour = str
DEFAULT: str | UnsetType = 'outside of a class'
'''


@pytest.mark.parametrize(
    "line",
    [
        "    text: str | UnsetType = UNSET\n    colour: str = 'red'\n",
        "    class_: int = field(name='class', default=3)\n",
        "    async_: int | UnsetType = field(name='async', default=UNSET)\n",
        "    size: (\n        Annotated[int, Meta(ge=1)]\n    ) = 1\n",
        "DEFAULT: str | UnsetType = 'outside of a class'",
    ],
)
def test_fields_with_a_default_are_never_unset(line: str) -> None:
    assert line in normalise_optional_fields(GENERATED, ())


def test_fields_of_merge_patches_are_unset() -> None:
    text = normalise_optional_fields(GENERATED, {"NotePatch"})
    assert "    text: str | UnsetType | None = UNSET\n" in text
    assert "    colour: Colour | UnsetType = UNSET\n" in text
    assert "    class_: int | UnsetType = field(name='class', default=UNSET)\n\n" in text


def test_text_without_optional_fields_stays() -> None:
    assert normalise_optional_fields("class A(Struct):\n    id: str\n", {"A"}) == "class A(Struct):\n    id: str\n"
