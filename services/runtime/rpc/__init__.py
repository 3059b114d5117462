"""gRPC: codec, servicers, stubs, server, reflection, errors and health check."""
