"""Plans, workers, checkpoints, and a queue in the order in which runs were put in.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns; confusion matrices move out of the metrics."""
    # Columns are added in place: to make a table anew would drop the rows that refer to it.
    epoch = "1970-01-01 00:00:00.000000"
    for column in (
        sa.Column("queued_at", sa.DateTime(), nullable=False, server_default=epoch),
        sa.Column("checkpoint_step", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("pack_limit", sa.Integer(), nullable=True),
        sa.Column("losses", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("runs", column)
    op.execute("UPDATE runs SET queued_at = created_at")
    op.drop_index("ix_runs_queue", "runs")
    op.create_index("ix_runs_queue", "runs", ["status", "group", "queued_at"])
    op.create_index("ix_runs_order", "runs", ["status", "queued_at"])
    op.create_index("ix_runs_created", "runs", ["created_at", "id"])
    op.add_column("attempts", sa.Column("confusion", sa.JSON(), nullable=True))
    op.add_column(
        "attempts", sa.Column("resumed_step", sa.Integer(), nullable=False, server_default="0")
    )
    _move_confusions()
    op.create_table(
        "plans",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
    )
    op.create_table(
        "plan_runs",
        sa.Column("plan", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan"], ["plans.id"], name="fk_plan_runs_plan_plans", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_plan_runs_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan", "run_id", name="pk_plan_runs"),
    )
    op.create_index("ix_plan_runs_run_id", "plan_runs", ["run_id"])
    op.create_table(
        "workers",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(200), nullable=False),
        sa.Column("launcher", sa.String(200), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("doing", sa.JSON(), nullable=False),
        sa.Column("log", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )


def _move_confusions() -> None:
    attempts = sa.table(
        "attempts",
        sa.column("run_id", sa.String),
        sa.column("number", sa.Integer),
        sa.column("metrics", sa.JSON),
        sa.column("confusion", sa.JSON),
    )
    connection = op.get_bind()
    keys = connection.execute(
        sa.select(attempts.c.run_id, attempts.c.number).where(attempts.c.metrics.isnot(None))
    ).all()
    for run_id, number in keys:
        this = (attempts.c.run_id == run_id) & (attempts.c.number == number)
        metrics = connection.execute(sa.select(attempts.c.metrics).where(this)).scalar_one()
        if metrics is not None:
            confusion = metrics.pop("confusion", None)
            connection.execute(
                attempts.update().where(this).values(metrics=metrics, confusion=confusion)
            )


def downgrade() -> None:
    """Undo it; confusion matrices are lost."""
    for table in ("workers", "plan_runs", "plans"):
        op.drop_table(table)
    for column in ("resumed_step", "confusion"):
        op.drop_column("attempts", column)
    for index in ("ix_runs_created", "ix_runs_order", "ix_runs_queue"):
        op.drop_index(index, "runs")
    op.create_index("ix_runs_queue", "runs", ["status", "group"])
    for column in ("losses", "pack_limit", "checkpoint_step", "queued_at"):
        op.drop_column("runs", column)
