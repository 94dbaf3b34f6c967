"""The crowd: many routers, one seed, no process and no real time."""
