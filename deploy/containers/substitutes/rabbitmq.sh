# Entry point of the RabbitMQ substitute: the part of the official image's entry point that docker-compose.yml needs.
set -eu
cat >/tmp/rabbitmq.conf <<CONF
listeners.tcp.default = 5672
default_user = $RABBITMQ_DEFAULT_USER
default_pass = $RABBITMQ_DEFAULT_PASS
default_vhost = $RABBITMQ_DEFAULT_VHOST
loopback_users = none
log.console = true
log.console.level = warning
CONF
export RABBITMQ_CONFIG_FILE=/tmp/rabbitmq.conf RABBITMQ_LOGS=- HOME=/var/lib/rabbitmq
exec rabbitmq-server
