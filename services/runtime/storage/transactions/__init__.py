"""Transactions with and without locks, and the execution of their statements."""
