"""Request coalescing, micro-batching, periodic jobs and circuit breakers."""
