"""How names of the contracts are written in Python."""

import re


def snake(name: str) -> str:
    """listCatalog, If-None-Match → list_catalog, if_none_match."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


def package_name(stem: str) -> str:
    """A file's name as a package's: payment-system → payment_system."""
    return stem.replace("-", "_")


def docstring(text: str, indent: int) -> str:
    """A docstring with its quotes, wrapped lines kept."""
    pad = " " * indent
    lines = text.strip().replace("\\", "\\\\").replace('"""', "'''").splitlines()
    if len(lines) == 1:
        return f'{pad}"""{lines[0]}"""\n'
    return f'{pad}"""' + f"\n{pad}".join(lines).replace(f"{pad}\n", "\n") + f'\n{pad}"""\n'
