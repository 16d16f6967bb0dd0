"""Gateways: they listen to chains and carry packets, receipts and proofs between them. Trusted by nobody."""
