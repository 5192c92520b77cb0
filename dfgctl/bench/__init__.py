"""Measures how fast training is: packs in processes of their own, and one run from end to end."""
