"""Swagger UI of the published OpenAPI document, served from its npm package without third-party resources."""

from pathlib import Path

from generated import mesh
from services.runtime.rest.types import BinaryResponse

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{mesh.NAME.title()} API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
""".encode()
_INIT_SCRIPT = b"""SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  persistAuthorization: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_MEDIA_TYPE_BY_FILE = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


def load_swagger_ui(directory: Path) -> dict[str, BinaryResponse]:
    """Return the page at `/docs` and the files it loads.

    Raises FileNotFoundError when the npm package is not installed.
    """
    page = BinaryResponse("text/html; charset=utf-8", _PAGE)
    files = {
        f"/docs/{name}": BinaryResponse(media_type, (directory / name).read_bytes())
        for name, media_type in _MEDIA_TYPE_BY_FILE.items()
    }
    return {
        "/docs": page,
        "/docs/": page,
        "/docs/index.html": page,
        "/docs/start.js": BinaryResponse("text/javascript; charset=utf-8", _INIT_SCRIPT),
        **files,
    }
