"""Frames of published events, and the confirms of the broker."""
