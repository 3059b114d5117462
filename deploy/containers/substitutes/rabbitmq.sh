# Entry point of the RabbitMQ substitute: the part of the official image's entry point that docker-compose.yml needs.
set -eu
cat >/tmp/rabbitmq.conf <<CONF
listeners.tcp.default = 5672
log.console.level = warning
CONF
export RABBITMQ_CONFIG_FILE=/tmp/rabbitmq.conf RABBITMQ_CONFIG_FILES=/etc/rabbitmq/conf.d RABBITMQ_LOGS=- HOME=/var/lib/rabbitmq
exec rabbitmq-server
