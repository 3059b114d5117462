"""A small trace page for one machine: takes OTLP in, keeps what is newest, and answers Jaeger's query JSON."""
