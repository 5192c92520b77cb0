"""Tables and figures from finished runs. Imports neither torch nor SQLAlchemy."""
