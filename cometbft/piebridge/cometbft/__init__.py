"""CometBFT's own data (headers, commits, validator sets, votes): their bytes, hashes and verification. Pure."""
