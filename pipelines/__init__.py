"""The flows as recipes, and what carries them. Connectors and ledger meet here and nowhere else."""
