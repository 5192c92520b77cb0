"""Plans runs, and trains what a plan still lacks."""
