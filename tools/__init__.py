"""What the documentation site needs to be built."""
