"""Relay chains, through the CometBFT RPC of their validators' nodes."""

from piebridge.chains.relay.endpoint import CometBftRelayEndpoint

__all__ = ["CometBftRelayEndpoint"]
