"""Scaffold of a service: files from templates, and the edits of the files that name every service."""
