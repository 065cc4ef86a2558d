"""Validation: whether a request may leave, decided before any quota is spent."""
