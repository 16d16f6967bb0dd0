"""Fault campaigns on a network of real processes: traffic, kills, and an oracle at the end."""
