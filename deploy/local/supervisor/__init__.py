"""Supervisor of the local mesh: start-up stages, processes and the state file."""
