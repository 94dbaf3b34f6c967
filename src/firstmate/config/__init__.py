"""The text of `firstmate.toml` to a `Plan`, or to every `Problem` in it. Standard library only."""
