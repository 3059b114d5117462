"""REST handlers, one module per tag of the contract: they translate requests and responses."""
