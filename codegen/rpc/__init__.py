"""Generators for protobuf services: messages, servicers, stubs and request constraints."""
