"""Hashes, trees, proofs, signatures, threshold signatures and the keystore: everything that has no knowledge of PieBridge."""
