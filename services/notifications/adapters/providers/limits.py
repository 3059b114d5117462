"""Limits shared by the push providers."""

MAX_PAYLOAD_BYTES = 4096
"""Maximum payload size that FCM and APNs accept."""
