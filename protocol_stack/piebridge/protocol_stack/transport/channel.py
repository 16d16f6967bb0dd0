"""Channels: numbers that a hub gives to one application, each fixing transport protocol and order of its lanes."""

from dataclasses import dataclass

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.identifiers import SHARED_CHANNEL, ApplicationId, ChannelId
from piebridge.protocol_stack.transport.base import TransportProtocol
from piebridge.protocol_stack.transport.basic import BasicTransport


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a source hub."""

    number: ChannelId
    """Number at the source hub; 0 is the shared one."""
    application: ApplicationId
    """The only application that may send on it; 0 for the shared channel, where all may."""
    protocol: TransportProtocol
    """What its lanes use."""

    def check_sender(self, application: ApplicationId) -> None:
        """Refuse an application that does not own the channel.

        Raises:
            ProtocolError: the channel belongs to another application.
        """
        if self.number != SHARED_CHANNEL and application != self.application:
            raise ProtocolError(
                f"channel {self.number} belongs to another application: open an own one",
                expected=self.application,
                actual=application,
            )


SHARED = Channel(SHARED_CHANNEL, 0, BasicTransport())
"""The channel that needs no opening."""
