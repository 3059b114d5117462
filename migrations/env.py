"""Alembic environment. Uses the connection and the transaction of `services.runtime.storage.migrations`."""

from alembic import context

if context.is_offline_mode():  # renders the SQL without executing it
    context.configure(dialect_name="postgresql", literal_binds=True)
    context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
