"""Inbound entry points of notifications: gRPC servicer, event consumers and delivery worker pools."""
