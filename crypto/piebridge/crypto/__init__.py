"""Hashes, trees, proofs, signatures, threshold signatures, keystore: all that knows nothing of PieBridge."""
