"""The protocol: packets, headers, layers, outboxes, light clients, wire formats. No IO, no clock, no randomness."""
