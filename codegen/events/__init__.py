"""Generators that read protobuf events: event types and AsyncAPI."""
