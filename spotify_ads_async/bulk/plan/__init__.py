"""Plans: from a file of changes, or a selection, to what every row comes down to."""
