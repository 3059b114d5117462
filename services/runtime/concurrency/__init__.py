"""Request coalescing, micro-batching, periodic jobs, circuit breakers and limits of concurrent requests."""
