"""Titles of the library, with the numbers of their loans."""
