// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "./IHubEvents.sol";

/// @title What a hub does often, or what applications ask of it: code of the hub itself. See IHub.
interface IHubCore is IHubEvents {
    // ------------------------------------------------------------------------------------------------------------ sending

    /// @notice Sends a packet. The caller gives the four layers' headers as words in the layout of section 4.1, with zeros where the hub writes: version,
    /// protocol, ORDERED, header length, source and sequence of the transport layer; kind, participants, origin and nonce of the transaction layer;
    /// application id and body length of the application layer.
    /// @param transport Flags (RECEIPT_WANTED), domain, destination, relay (0 in free lanes) and channel.
    /// @param verification What the sender demands; all zeros stand for the method of this hub's registration and nothing more.
    /// @param transaction Protocol, flags (RETURN), deadline, execExpiry and handler gas limit.
    /// @param application Function, callback, version, codec and flags.
    /// @param user User identity, a statement of the application.
    /// @return packetId Id of the packet.
    function send(
        bytes32 transport,
        bytes8 verification,
        bytes32 transaction,
        bytes32 application,
        bytes32 user,
        bytes calldata body
    ) external returns (bytes32 packetId);

    // ------------------------------------------------------------------------------------------------------------ receiving

    /// @notice Takes an endorsed range (section 8). Reverts only when the range is malformed, does not fold, is not endorsed, or the transaction has too
    /// little gas.
    function receiveRange(bytes calldata envelope) external;

    /// @notice Lets the application undo the effect of an aborted transaction, once.
    /// @param packets The transaction's packets (header and body), by participant index.
    function settle(uint32 domain, uint32 relay, uint64 nonce, bytes calldata packets) external;

    /// @notice Calls a callback again that failed before.
    /// @param receiptHome The receipt as it came home (section 6.4).
    function retryCallback(bytes calldata receiptHome) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @notice Where the code for rare calls lies that this hub has created and runs as its own.
    function ADMINISTRATION() external view returns (address);

    /// @notice Two status bits: 0 none, 2 committed, 3 aborted. Own transactions have source and channel 0 and their nonce as sequence.
    function statusOf(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence)
        external
        view
        returns (uint8);

    /// @notice Whether a packet has reached its end here, in whichever kind of lane.
    function isFinal(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence, bool ordered)
        external
        view
        returns (bool);

    /// @notice Another hub of a domain.
    function peerOf(uint32 domain, uint32 registration)
        external
        view
        returns (bool member, uint64 evmChainId, uint32 largestHandlerGas);

    /// @notice The registration of a member of a domain by its EVM chain id, 0 if there is none.
    function registrationOfChain(uint32 domain, uint64 evmChainId) external view returns (uint32);
}
