"""The protocol: packets, headers, the four layers, outboxes, light clients, wire formats. No IO, no clock, no randomness."""
