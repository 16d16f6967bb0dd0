"""Bugs that are planted on purpose, to see whether the simulation finds them: a net without them has caught nothing."""
