"""Generators of `generated/` from `api-specs/`: one module per artefact."""
