"""The relay chain application. Pure: no IO, no clock, no randomness; the same blocks give the same state everywhere."""
