"""Measurements of the package, each a module with a ``main()``: ``python -m benchmarks`` lists and runs them."""
