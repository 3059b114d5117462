"""Partners service: partners, products, prices and calls to partner systems."""
