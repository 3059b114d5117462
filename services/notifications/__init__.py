"""Notifications service: push notifications and mail."""
