"""Settings of a service with a document store."""

from pydantic import Field, SecretStr, field_validator
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from services.runtime.config.settings import ServiceSettings

URL_ERROR = (
    "is not a MongoDB URL with a database, such as mongodb://user:password@host:port/database, where special characters"
    " of user and password are percent-encoded"
)


class DocumentStoreSettings(ServiceSettings):
    """Settings of every service with a document store."""

    documents_url: SecretStr = Field(description="mongodb://user:password@host:port/database of this service")

    @field_validator("documents_url")
    @classmethod
    def _validate_documents_url(cls, url: SecretStr) -> SecretStr:
        """Ensure that pymongo can parse the URL: its own error messages contain parts of the URL.

        Options are not parsed, and `mongodb+srv` is parsed without its DNS query.
        """
        base_url = url.get_secret_value().partition("?")[0].replace("mongodb+srv:", "mongodb:", 1)
        try:
            database = parse_uri(base_url)["database"]
        except (PyMongoError, ValueError):
            raise ValueError(URL_ERROR) from None
        if not database:
            raise ValueError(URL_ERROR)
        return url
