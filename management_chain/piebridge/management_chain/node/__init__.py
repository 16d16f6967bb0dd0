"""Node agent: turns final decisions of the management chain into running relay-chain validators, and back."""
