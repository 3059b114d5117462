"""Conversion of names, texts and times of the contracts to the forms of generated files."""

import re


def to_snake_case(name: str) -> str:
    """Convert listLoans to list_loans and If-None-Match to if_none_match."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


def to_pascal_case(name: str) -> str:
    """Convert loans.return_reported to LoansReturnReported."""
    return "".join(part.title() for part in re.split(r"[\W_]+", name))


def to_package_name(stem: str) -> str:
    """Convert a file name to a package name: reader-cards becomes reader_cards."""
    return stem.replace("-", "_")


def get_unqualified_name(full_name: str) -> str:
    """Return the name of a message without its package."""
    return full_name.rpartition(".")[2]


def get_constant_name(event: str) -> str:
    """Return the name of the constant of an event type by the name of its message: LOAN_STARTED for LoanStarted."""
    return to_snake_case(event).upper()


def format_seconds(seconds: float) -> str:
    """Return a time without an exponent, in nanoseconds at most: 2.5, or 1000000."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def render_docstring(text: str, indent: int) -> str:
    """Return the text as a docstring line with quotes, at the given indentation; line breaks are preserved."""
    pad = " " * indent
    lines = text.strip().replace("\\", "\\\\").replace('"""', "'''").splitlines() or [""]
    if len(lines) > 1:
        return f'{pad}"""' + f"\n{pad}".join(lines).replace(f"{pad}\n", "\n") + f'\n{pad}"""\n'
    # A quote at the end would merge with the closing quotes.
    line = lines[0][:-1] + '\\"' if lines[0].endswith('"') else lines[0]
    return f'{pad}"""{line}"""\n'
