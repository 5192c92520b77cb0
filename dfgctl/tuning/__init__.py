"""Fair tuning: the same search, with the same budget, for every method. Torch-free but for one."""
