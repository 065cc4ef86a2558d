"""The emulated data: accounts, rows and their rules, and a handler for each operation."""
