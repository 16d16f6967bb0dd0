"""The piebridge command and the local network."""
