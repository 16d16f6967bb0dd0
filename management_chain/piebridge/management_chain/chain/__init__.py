"""The management chain itself: its contracts, how they are made, and the genesis that holds them."""
