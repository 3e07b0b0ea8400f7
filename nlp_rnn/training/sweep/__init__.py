"""Searching for the best settings with Optuna: many short runs, of which bad ones are stopped early."""
