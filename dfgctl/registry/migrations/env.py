"""Runs the migrations on the connection that ``dfgctl.registry.engine`` hands over."""

from alembic import context

from dfgctl.registry.engine import VERSION_TABLE
from dfgctl.registry.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
