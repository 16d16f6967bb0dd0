"""The contracts of the management chain as typed values: what they say, what they refuse, what governors order."""
