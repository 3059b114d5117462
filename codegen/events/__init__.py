"""Generators for protobuf events: event types, consumers and AsyncAPI."""
