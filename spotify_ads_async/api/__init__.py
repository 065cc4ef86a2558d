"""The API's own document: its facts, and what has changed in them."""
