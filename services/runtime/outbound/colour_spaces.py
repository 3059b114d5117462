"""Colour spaces of images that name them without an ICC profile, by PNG chunks or EXIF, as ICC profiles."""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import ExifTags, Image

type Vector = tuple[float, float, float]
type Chromaticity = tuple[float, float]


class Curve(NamedTuple):
    """Parametric curve from a value to its linear one: `(a x + b) ** gamma` from `d` on, and `c x` below (ICC.1)."""

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


class Primaries(NamedTuple):
    """Chromaticities (x, y) of white and of the primary colours."""

    white: Chromaticity
    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity


class ColourSpace(NamedTuple):
    """Colour space of RGB images; those of grey images have the curve only."""

    primaries: Primaries
    curve: Curve


class UnsupportedColourSpace(Exception):
    """The image names a colour space that no profile represents, for example of HDR."""


_D65 = (0.3127, 0.3290)
_ILLUMINANT_C = (0.310, 0.316)

_BT709 = Primaries(_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_SMPTE_170M = Primaries(_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_DCI_P3 = Primaries((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))

_BT709_CURVE = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

_ADOBE_RGB = ColourSpace(Primaries(_D65, (0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), Curve(563 / 256))

_PRIMARIES_BY_CODE: Mapping[int, Primaries] = {
    1: _BT709,
    4: Primaries(_ILLUMINANT_C, (0.670, 0.330), (0.210, 0.710), (0.140, 0.080)),
    5: Primaries(_D65, (0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: _SMPTE_170M,
    7: _SMPTE_170M,
    9: Primaries(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: _DCI_P3,
    12: _DCI_P3._replace(white=_D65),
    22: Primaries(_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
_CURVES_BY_CODE: Mapping[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: Curve(2.2),
    5: Curve(2.8),
    8: Curve(1.0),
    13: _SRGB_CURVE,
}
"""Colour primaries and transfer characteristics by their codes (ITU-T H.273), without those of HDR."""

_SRGB_GAMMA = 0.45455
_TOLERANCE = 0.001
"""Difference of gamma and chromaticities from those of sRGB that is ignored, because encoders round them."""

_D50: Vector = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_INVERSE_BRADFORD = (
    (0.9869929, -0.1470543, 0.1599627),
    (0.4323053, 0.5183603, 0.0492912),
    (-0.0085287, 0.0400428, 0.9684867),
)

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ADOBE_RGB_COLOUR_SPACE = 2
_ADOBE_RGB_INTEROPERABILITY = "R03"
"""Values of EXIF for Adobe RGB: that of many cameras, and that of DCF."""


def find_profile(image: Image.Image, data: bytes, *, is_grey: bool) -> bytes | None:
    """Return the ICC profile of an image, embedded or built, or None if it is sRGB or unknown.

    `data` is the file of the image. The order of precedence is that of PNG (third edition, 4.3), then EXIF. Impossible
    values are ignored. Raises UnsupportedColourSpace.
    """
    codes = _read_png_codes(data)
    embedded: bytes | None = image.info.get("icc_profile")
    if embedded and (codes is None or not _is_supported(codes)):
        return embedded
    try:
        if codes is not None:
            space = _select_by_codes(codes)
        elif "srgb" in image.info:
            space = None
        else:
            space = _read_gamma(image.info) or _read_exif(image)
        return None if space is None else build_profile(space, is_grey=is_grey)
    except (ZeroDivisionError, struct.error):
        return None


def build_profile(space: ColourSpace, *, is_grey: bool) -> bytes:
    """Return an ICC profile. Raises ZeroDivisionError or struct.error for impossible chromaticities."""
    curve = struct.pack(">4s4xH2x5i", b"para", 3, *map(_to_fixed_point, space.curve))
    colours = {} if is_grey else _convert_primaries(space.primaries)
    tags = {b"wtpt": _encode_xyz(_D50)} | {name: _encode_xyz(colour) for name, colour in colours.items()}
    tags |= dict.fromkeys([b"kTRC"] if is_grey else [b"rTRC", b"gTRC", b"bTRC"], curve)
    offset = 132 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, offset + len(content), len(tag))
        content += tag
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        offset + len(content),
        0x04300000,
        b"mntr",
        b"GRAY" if is_grey else b"RGB ",
        b"XYZ ",
        b"acsp",
        *map(_to_fixed_point, _D50),
    )
    return header + table + content


def _read_png_codes(data: bytes) -> bytes | None:
    """Return the coding-independent code points of a PNG, a byte each: primaries, transfer, matrix and range."""
    position = len(_PNG_SIGNATURE)
    while data.startswith(_PNG_SIGNATURE) and position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"cICP" and length == 4:
            return data[position + 8 : position + 12]
        if name == b"IDAT":
            break
        position += length + 12
    return None


def _is_supported(codes: bytes) -> bool:
    """Return whether a profile can be built. Pixels of a PNG are RGB (matrix 0); the narrow range is that of video."""
    primaries, transfer, matrix, full_range = codes
    return primaries in _PRIMARIES_BY_CODE and transfer in _CURVES_BY_CODE and (matrix, full_range) == (0, 1)


def _select_by_codes(codes: bytes) -> ColourSpace | None:
    """Return the colour space of these codes, or None for sRGB."""
    if not _is_supported(codes):
        raise UnsupportedColourSpace
    space = ColourSpace(_PRIMARIES_BY_CODE[codes[0]], _CURVES_BY_CODE[codes[1]])
    return None if space == (_BT709, _SRGB_CURVE) else space


def _read_gamma(info: Mapping[Any, Any]) -> ColourSpace | None:
    """Return the colour space that the chunks gAMA and cHRM of a PNG describe, or None for about sRGB."""
    gamma = info.get("gamma", _SRGB_GAMMA)
    values = info.get("chromaticity")
    primaries = Primaries(*zip(values[::2], values[1::2], strict=True)) if values else _BT709
    if any(y == 0 or x + y > 1 + _TOLERANCE for x, y in primaries):
        return None
    has_srgb_gamma = abs(gamma - _SRGB_GAMMA) <= _TOLERANCE
    has_srgb_primaries = all(
        abs(value - expected) <= _TOLERANCE
        for point, expected_point in zip(primaries, _BT709, strict=True)
        for value, expected in zip(point, expected_point, strict=True)
    )
    if has_srgb_gamma and has_srgb_primaries:
        return None
    return ColourSpace(primaries, _SRGB_CURVE if has_srgb_gamma else Curve(1 / gamma))


def _read_exif(image: Image.Image) -> ColourSpace | None:
    """Return Adobe RGB if EXIF names it, and else None: other files are sRGB, or contain a profile."""
    exif = image.getexif()
    if ExifTags.IFD.Exif not in exif:
        return None
    colour_space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    interoperability = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    is_adobe_rgb = colour_space == _ADOBE_RGB_COLOUR_SPACE or interoperability == _ADOBE_RGB_INTEROPERABILITY
    return _ADOBE_RGB if is_adobe_rgb else None


def _convert_primaries(primaries: Primaries) -> dict[bytes, Vector]:
    """Return the colours at full intensity as XYZ, adapted from the white point to D50 (Bradford)."""
    white, *colours = map(_convert_to_xyz, primaries)
    red, green, blue = colours
    whole = _compute_determinant(red, green, blue)
    intensities = (
        _compute_determinant(white, green, blue) / whole,
        _compute_determinant(red, white, blue) / whole,
        _compute_determinant(red, green, white) / whole,
    )
    factors = [
        target / source
        for target, source in zip(_apply_matrix(_BRADFORD, _D50), _apply_matrix(_BRADFORD, white), strict=True)
    ]
    adapted = {}
    for name, colour, intensity in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colours, intensities, strict=True):
        cones = _apply_matrix(_BRADFORD, colour)
        x, y, z = (intensity * factor * cone for factor, cone in zip(factors, cones, strict=True))
        adapted[name] = _apply_matrix(_INVERSE_BRADFORD, (x, y, z))
    return adapted


def _convert_to_xyz(chromaticity: Chromaticity) -> Vector:
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y


def _compute_determinant(a: Vector, b: Vector, c: Vector) -> float:
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])


def _apply_matrix(matrix: tuple[Vector, Vector, Vector], vector: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _encode_xyz(vector: Vector) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *map(_to_fixed_point, vector))


def _to_fixed_point(value: float) -> int:
    """Return a number with 16 binary digits after the point (s15Fixed16Number)."""
    return round(value * 65536)
