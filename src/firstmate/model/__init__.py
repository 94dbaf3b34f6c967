"""The vocabulary: what every other room speaks. Standard library only, no I/O, no clock."""
