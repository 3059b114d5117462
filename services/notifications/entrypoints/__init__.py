"""Inbound entry points of notifications: gRPC, event consumers and the delivery workers."""
