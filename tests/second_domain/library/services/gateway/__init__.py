"""Public HTTP API of the library."""
