"""The protocol: packets, headers, the four layers, outboxes, light clients, wire formats. Pure: no IO, no clock."""
