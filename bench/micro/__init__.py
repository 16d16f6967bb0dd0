"""Single functions, timed alone."""
