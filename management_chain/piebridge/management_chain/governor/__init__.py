"""The governor: holder of one share of the governor key, and what it does on the bulletin board."""
