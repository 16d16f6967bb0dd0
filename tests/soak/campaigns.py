"""The table of all campaigns. Whoever adds one adds a line here; nothing registers itself."""

from soak.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = ()
