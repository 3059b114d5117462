"""Alembic's entry: runs on the connection, and in the transaction, that `services.runtime.storage.migrations` holds."""

from alembic import context

if context.is_offline_mode():  # for those who read what would be run
    context.configure(dialect_name="postgresql", literal_binds=True)
    context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
