"""Decides what is not urgent: HAProxy's fate, checks, restarts, and what is told to people. Pure."""
