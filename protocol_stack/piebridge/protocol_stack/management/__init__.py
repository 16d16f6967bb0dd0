"""Formats of the management chain (``docs/protocol/management.md``): requests, decisions, the draw, offers of nodes."""
