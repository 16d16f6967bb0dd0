"""Adapters that speak to chains from outside, one interface for all kinds."""
