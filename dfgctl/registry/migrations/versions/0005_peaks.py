"""What memory the pack of an attempt took.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of older attempts it is not known."""
    op.add_column("attempts", sa.Column("peak_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("attempts", "peak_bytes")
