"""Catalog, price and partner call rules, without I/O."""
