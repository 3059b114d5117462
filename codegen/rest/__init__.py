"""Generators for OpenAPI: handlers, models, converters, problems, published documents and test scaffolding."""
