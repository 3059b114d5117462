"""JSON pointers into the bodies of public requests, for the fields that errors of use cases name."""

import re
from collections.abc import Mapping
from dataclasses import replace

from services.runtime.core.errors import ApiError, FieldError

type FieldPointers = Mapping[str, str]
"""Pointers by field of an entity: `lines[].price` is a field of a list, whose index replaces `{}` in the pointer."""

_INDEX = re.compile(r"\[(\d+)\]")


def resolve_pointers(error: ApiError, pointers: FieldPointers) -> ApiError:
    """Return the error with a pointer for each field in `pointers`.

    Other fields are unchanged: names of parameters, and pointers that the validation of the request has found.
    """
    if not error.errors or not pointers:
        return error
    return replace(error, errors=[_resolve(each, pointers) for each in error.errors])


def _resolve(error: FieldError, pointers: FieldPointers) -> FieldError:
    pointer = pointers.get(_INDEX.sub("[]", error.field))
    return error if pointer is None else FieldError(pointer.format(*_INDEX.findall(error.field)), error.message)
