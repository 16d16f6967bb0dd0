"""Compiled contracts of the hub and the applications, and a loader for them."""
