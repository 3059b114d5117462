"""Request coalescing, micro-batching and periodic jobs."""
