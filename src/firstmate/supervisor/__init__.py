"""The parent of every process on a node. Starts, watches, restarts; decides nothing else. Standard library only."""
