"""The relay chain: an ABCI application that verifies, records and endorses packets."""
