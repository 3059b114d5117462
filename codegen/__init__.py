"""Everything under `generated/` is written by these modules from `api-specs/`, one module per artefact."""
