"""Inbound entry points of orders: gRPC, event consumers and commands."""
