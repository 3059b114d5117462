"""Negotiation of the language, and texts of errors by language."""

import ast
import re
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.mesh_config import ROOT
from generated.problems import PROBLEMS, Reason
from services.runtime.core.localisation import LANGUAGES, find_translation, render_detail, select_language
from services.runtime.outbound.images import ImageTooLarge, InvalidImage, normalise_image
from tests.users import create_image

REJECTED_IMAGES = {each.__name__ for each in InvalidImage.__subclasses__()}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at, en;q=0.5", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("fr, de;q=0.1", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("en;q=0, *", "de"),
        ("de;q=0", "en"),
        ("de ; q = 0.9 , en;q=0.8", "de"),
        ("de;q=9, ,;;", "en"),
        ("de;q=1.5", "en"),
        ("de;q=1.001, en;q=0.1", "en"),
        ("de;Q=1.000, en;q=0.9", "de"),
    ],
)
def test_preferred_supported_language_is_negotiated(header: str, language: str) -> None:
    assert select_language(header) == language


@given(st.text(st.sampled_from(string.printable), max_size=60))
def test_any_header_leads_to_supported_language(header: str) -> None:
    assert select_language(header) in LANGUAGES


def test_values_of_members_are_part_of_the_detail() -> None:
    members = {"order_status": "cancelled"}
    assert "cancelled" in render_detail(Reason.ORDER_STATE_CONFLICT, members)
    assert "storniert" in render_detail(Reason.ORDER_STATE_CONFLICT, members, "de")
    assert "64 KiB" in render_detail(Reason.PAYLOAD_TOO_LARGE, {"max_bytes": 65536})
    assert "5 MiB" in render_detail(Reason.PAYLOAD_TOO_LARGE, {"max_bytes": 5 * 2**20}, "de")
    opening = {"opens_at": "2026-11-30T10:00:00Z", "time_zone": "Europe/Berlin"}
    detail = render_detail(Reason.PARTNER_CLOSED, opening)
    assert detail.endswith("It opens on Monday, 30 November, at 11:00 (Europe/Berlin).")
    detail = render_detail(Reason.PARTNER_CLOSED, opening, "de")
    assert detail.endswith("Er öffnet am Montag, 30. November, um 11:00 Uhr (Europe/Berlin).")


def test_detail_without_members_has_no_placeholders() -> None:
    for reason in Reason:
        for language in LANGUAGES:
            assert render_detail(reason, {}, language) == PROBLEMS[reason].detail[language]


def test_message_is_translated_with_its_values() -> None:
    assert find_translation("must be at most 3", "de") == "darf höchstens 3 sein"
    assert find_translation('"first_name" is missing', "de") == "„first_name“ fehlt"
    assert find_translation("must be at most 3", "en") == "must be at most 3"
    assert find_translation("no such message", "de") is None


def iter_field_messages() -> Iterator[str]:
    """Yield the messages of field errors in the services, with 7 for each value."""
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FieldError"):
                continue
            match node.args:
                case [_, ast.Constant(value=str() as text)]:
                    yield text
                case [_, ast.JoinedStr(values=parts)]:
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)
    yield from re.findall(
        r'ValueError\("(.+)"\)', (ROOT / "services/runtime/outbound/base_url.py").read_text(encoding="utf-8")
    )
    agents = (ROOT / "services/notifications/usecases/agents.py").read_text(encoding="utf-8")
    yield from (re.sub(r"{\w+}", "7", text) for text in re.findall(r'"(must [^"]+)"', agents))


def iter_details() -> Iterator[str]:
    """Yield the details of errors that a client causes, and of rejected images, with 7 for each value."""
    for path in (ROOT / "services").rglob("*.py"):
        if "rpc" in path.parts or path.stem == "rpc":  # errors of calling services
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            match node.func.id, node.args:
                case "ApiError", [ast.Attribute(attr=reason), detail] if not reason.startswith("UPSTREAM_"):
                    pass
                case name, [detail] if name in REJECTED_IMAGES:
                    pass
                case _:
                    continue
            match detail:
                case ast.Constant(value=str() as text):
                    yield text
                case ast.JoinedStr(values=parts):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


@pytest.mark.parametrize("detail", sorted(set(iter_details())))
def test_detail_of_every_rejection_has_a_translation(detail: str) -> None:
    translation = find_translation(detail, "de")
    assert translation not in (None, detail)
    if "image" in detail:
        assert re.findall(r"\d+", str(translation)) == re.findall(r"\d+", detail)


def test_size_of_a_rejected_image_is_part_of_its_translation() -> None:
    with pytest.raises(ImageTooLarge) as raised:
        normalise_image(create_image(size=(9000, 10)))
    translation = find_translation(str(raised.value), "de")
    assert translation == "Das Bild hat 9000×10 Pixel; höchstens 8000 je Seite und insgesamt 25 Millionen sind möglich."


@pytest.mark.parametrize("message", sorted(set(iter_field_messages())))
def test_message_of_every_field_error_has_a_translation(message: str) -> None:
    assert find_translation(message, "de") not in (None, message)
