"""gRPC runtime: codec, servicers, stubs, streams, deadlines, server, channel, reflection, errors and health check."""
