"""Light clients: pure functions that verify the headers of other chains."""
