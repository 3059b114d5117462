"""Public HTTP API of the platform: REST in, gRPC to the other services, and its own accounts and profiles."""
