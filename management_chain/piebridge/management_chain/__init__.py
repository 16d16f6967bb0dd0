"""The management chain and the services around it: governors, node agents, domain life cycle."""
