"""Imports the libraries of the services, before their processes are forked.

A process shares the memory of a library until it changes it; objects that are frozen are not changed by its garbage
collections. Modules of the project are not imported: a process that is restarted has their current code.
"""

import gc
import ssl
from importlib import import_module

from cryptography.fernet import Fernet

LIBRARIES = (
    "alembic.command",
    "babel.numbers",
    "betterproto2",
    "connexion",
    "cryptography.x509",
    "google.oauth2.service_account",
    "grpc.aio",
    "grpc_channelz.v1.channelz",
    "grpc_reflection.v1alpha.reflection",
    "httptools",
    "httpx",
    "iso4217",
    "jsonschema_rs",
    "jwt",
    "msgspec",
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "opentelemetry.sdk.metrics",
    "pika",
    "prometheus_client",
    "psycopg.rows",
    "psycopg_pool",
    "pydantic_settings",
    "pymongo",
    "sqlalchemy.dialects.postgresql",
    "uvicorn",
    "uvloop",
)

for _library in LIBRARIES:
    import_module(_library)
# The first use initialises the copies of OpenSSL, which takes 7 MB.
Fernet(Fernet.generate_key())
ssl.create_default_context()
gc.collect()
gc.freeze()
