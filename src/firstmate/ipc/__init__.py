"""Between our own processes."""
