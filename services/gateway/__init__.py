"""The only public HTTP door: REST in, gRPC to the other services, accounts and profiles of its own."""
