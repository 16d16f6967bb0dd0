"""Threshold Schnorr signatures: FROST(secp256k1, SHA-256) of RFC 9591, unchanged."""
