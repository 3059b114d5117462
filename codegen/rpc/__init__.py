"""Generators that read protobuf services: messages, servicers and stubs."""
