# Entry point of the RabbitMQ substitute: the part of the official image's entry point that docker-compose.yml needs.
set -eu
export RABBITMQ_LOGS=- HOME=/var/lib/rabbitmq
exec rabbitmq-server
