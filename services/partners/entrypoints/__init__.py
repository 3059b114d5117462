"""Inbound entry points of partners: gRPC servicer, event consumers, call worker and commands."""
