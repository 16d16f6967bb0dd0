"""The verification layer: proofs of hubs toward relay chains, endorsements of relay chains toward hubs."""
