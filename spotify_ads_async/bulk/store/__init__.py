"""The plan file: rows, requests, and the journal of what left and what came of it."""
