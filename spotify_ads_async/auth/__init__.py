"""Authentication: credentials and their tokens, named profiles, and signing in through the browser."""
