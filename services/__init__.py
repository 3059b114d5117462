"""The four services, their shared library (`runtime`) and local emulators of third parties (`sandbox`)."""
