"""Follows the management chain with a light client: what is proven here counts, whoever was asked."""
