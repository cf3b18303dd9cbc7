"""Many trainings as one command: planned, shared among workers, searched, and continued after any crash."""
