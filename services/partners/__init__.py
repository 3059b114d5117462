"""Partners, their products and prices, and the calls to their systems."""
