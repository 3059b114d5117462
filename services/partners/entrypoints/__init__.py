"""Inbound entry points of partners: gRPC, event consumers, the call worker and commands."""
