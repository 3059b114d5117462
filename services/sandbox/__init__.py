"""Sandbox: emulators of all third parties, for development and tests.

It emulates the identity provider, banks, partner systems, push providers with devices, and a mail server. One process
listens on HTTP, SMTP and HTTP/2 (APNs). It implements the third parties' own protocols and stores its state in one
SQLite file, so that accounts and payments survive a restart. Never for production.
"""
