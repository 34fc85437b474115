"""A run in the browser: every step, group and sample, read from run directories only."""
