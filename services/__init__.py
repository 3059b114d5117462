"""The four services, what they stand on (`runtime`), and the outside world played locally (`sandbox`)."""
