"""Carries what is not urgent: an asyncio process that runs `policy`. May die at any time without harm."""
