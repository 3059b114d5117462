"""HTTP calls to third parties: SSRF guard, webhook signatures, contract validation; image validation."""
