"""One call: from an operation and its values to bytes on the wire, and back to a struct."""
