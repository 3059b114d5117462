"""Imports the libraries of the services, before their processes are forked.

A process shares the memory of a library until it changes it; objects that are frozen are not changed by its garbage
collections. Modules of the project are not imported: a process that is restarted has their current code.
"""

import gc
from importlib import import_module

LIBRARIES = (
    "betterproto2",
    "connexion",
    "cryptography.x509",
    "grpc.aio",
    "httptools",
    "httpx",
    "iso4217",
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
gc.collect()
gc.freeze()
