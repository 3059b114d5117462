"""RabbitMQ: connection, publisher confirms, consumers, outbox, inbox and dead letters."""
