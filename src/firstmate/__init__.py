"""firstmate: when the captain is lost, the first mate takes command."""

__version__ = "0.1.0"
