"""Generators that read OpenAPI: handlers, models, converters and published documents."""
