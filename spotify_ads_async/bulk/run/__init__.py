"""Runs: carrying out a plan, live or as drafts."""
