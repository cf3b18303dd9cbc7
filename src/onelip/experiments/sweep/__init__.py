"""Many trainings from one file: drawn, shared among workers, resumed, compared."""
