"""The kernel, spoken to directly. Standard library only: pulse and the supervisor live here."""
