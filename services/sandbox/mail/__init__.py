"""Emulated mail server and its mailboxes."""
