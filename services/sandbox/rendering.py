"""Rendering of HTML pages: escaped, without scripts and external resources."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.runtime.core.money import convert_to_major_units

_TEMPLATE_FOLDER = Path(__file__).parent / "templates"
_SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

DEMO_BANKS = ("visa", "km", "paypal")
DEMO_PARTNERS = (1, 2)
DEMO_USERS = ("customer", "deliverer", "admin")


def format_money(amount: int, currency: str) -> str:
    """Return an amount in minor units as text: 1234 and USD give "12.34 USD"."""
    return f"{convert_to_major_units(amount, currency):f} {currency}"


class PageRenderer:
    """Renders the templates in the folder `templates`."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATE_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["money"] = format_money
        self._stylesheet = (_TEMPLATE_FOLDER / "style.css").read_text(encoding="utf-8")

    def build_routes(self) -> list[Route]:
        """Return the routes of the index page and the style sheet."""
        return [
            Route("/", self.show_index, methods=["GET"]),
            Route("/style.css", self.serve_stylesheet, methods=["GET"]),
        ]

    def render(self, template: str, **values: object) -> Response:
        """Return a rendered page."""
        return Response(
            self._templates.get_template(template).render(values), headers=_SECURITY_HEADERS, media_type="text/html"
        )

    async def show_index(self, _: Request) -> Response:
        """Show the index page."""
        return self.render("index.html", banks=DEMO_BANKS, partners=DEMO_PARTNERS, users=DEMO_USERS)

    async def serve_stylesheet(self, _: Request) -> Response:
        """Return the style sheet."""
        return Response(self._stylesheet, headers={"cache-control": "max-age=300"}, media_type="text/css")
