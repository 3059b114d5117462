"""HTTP client with SSRF protection, webhook signatures, third-party contract validation, and image normalisation."""
