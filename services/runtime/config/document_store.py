"""Settings of a service with a document store."""

from pydantic import Field, SecretStr, field_validator
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from services.runtime.config.settings import ServiceSettings

URL_ERROR = (
    "is not a MongoDB URL with a database, such as mongodb://user:password@host:port/database, where special characters"
    " of user and password are percent-encoded"
)


def is_documents_url(url: str) -> bool:
    """Return whether pymongo can parse a URL, and it contains a database.

    Options are not parsed, and `mongodb+srv` is parsed without its DNS query.
    """
    base_url = url.partition("?")[0].replace("mongodb+srv:", "mongodb:", 1)
    try:
        return bool(parse_uri(base_url)["database"])
    except (PyMongoError, ValueError):
        return False


class DocumentStoreSettings(ServiceSettings):
    """Settings of every service with a document store."""

    documents_url: SecretStr = Field(
        description=(
            "mongodb://user:password@host:port/database of this service; comma-separated hosts with ?replicaSet=name"
        )
    )

    @field_validator("documents_url")
    @classmethod
    def _validate_documents_url(cls, url: SecretStr) -> SecretStr:
        """Ensure that pymongo can parse the URL: its own error messages contain parts of the URL."""
        if not is_documents_url(url.get_secret_value()):
            raise ValueError(URL_ERROR)
        return url
