"""Images as values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image with its media type; of an upload, the type that the client declared."""

    media_type: str
    content: bytes = field(repr=False)
