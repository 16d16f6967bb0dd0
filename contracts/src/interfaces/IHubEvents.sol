// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Events and errors of a hub.
/// @notice Sections named here are those of docs/protocol/formats.md.
interface IHubEvents {
    // ------------------------------------------------------------------------------------------------------------ events

    // The data of the first three are the message itself, without the offset, the length and the filling of an ABI encoding: 64 bytes and more of a log
    // that every send pays for.

    /// @notice A packet became an entry of an outbox. `entry` = domain << 96 | relay << 64 | entry number. Data: header and body.
    event PacketSent(uint256 indexed entry);
    /// @notice The receipts of a batch became an entry. Data: endorsing relay u32, count u16, items of section 6.2.
    event ReceiptsMade(uint256 indexed entry);
    /// @notice A report became an entry. Data: section 6.5.
    event ReportMade(uint256 indexed entry);
    /// @notice A handler reverted; the packet is FAILED. At most 256 bytes of the reason.
    event HandlerFailed(bytes32 indexed packetId, bytes reason);
    /// @notice A callback reverted or could not be made; `retryCallback` may help. At most 256 bytes of the reason.
    event CallbackFailed(bytes32 indexed packetId, bytes reason);
    /// @notice An aborted transaction was settled. `transaction` = relay << 64 | nonce.
    event Settled(uint256 indexed transaction);
    /// @notice A governor message was taken. `done` says whether its execution succeeded; if not, `reason` is the error and nothing was changed but the
    /// counter.
    event GovernorMessageHandled(uint32 indexed domain, uint64 indexed counter, uint8 kind, bool done, bytes reason);
    /// @notice A channel was given to an application.
    event ChannelOpened(uint32 indexed channel, uint32 indexed application, uint8 transportProtocol);

    // ------------------------------------------------------------------------------------------------------------ errors

    /// @notice Thrown when the chain has another id than the one the hub was made for, e.g. after a fork.
    error WrongChain();
    /// @notice Thrown when constructor data cannot make a hub.
    error InvalidConstruction();
    /// @notice Thrown when a function that the hub calls on itself is called by anybody else.
    error OnlySelf();

    /// @notice Thrown when the sender is no registered application, or one that may not use this transaction protocol.
    error NotAllowed(address sender);
    /// @notice Thrown when the sending application is paused.
    error ApplicationPaused(uint32 application);
    /// @notice Thrown when a field of a header that the hub writes, or a reserved one, is not zero, or when fields do not fit together.
    error InvalidHeader();
    /// @notice Thrown when an outbox takes no packets: not opened, not active, paused, frozen or closed. `flags` are those of its head.
    error OutboxShut(uint32 domain, uint32 relay, uint256 flags);
    /// @notice Thrown when a body is longer than the domain allows.
    error BodyTooLong(uint256 length, uint256 limit);
    /// @notice Thrown when execExpiry or deadline lie outside what the domain allows at this time.
    error InvalidTime(uint256 execExpiry, uint256 deadline);
    /// @notice Thrown when the destination is no member of the domain.
    error NoMember(uint32 domain, uint32 destination);
    /// @notice Thrown when the gas limit is above the destination's largest.
    error GasLimitTooHigh(uint256 gasLimit, uint256 limit);
    /// @notice Thrown when a packet demands more of verification than this hub's own registration meets.
    error VerificationNotMet();
    /// @notice Thrown when a channel belongs to another application or was never opened.
    error WrongChannel(uint32 channel);
    /// @notice Thrown when a transaction names another relay chain than the one its routing slot belongs to; see `route`.
    error WrongRelay(uint32 relay);

    /// @notice Thrown when bytes are not the one encoding of a range, an envelope or a statement.
    error MalformedRange();
    /// @notice Thrown when a set of endorsers is neither the current one nor the one before within its overlap.
    error UnknownSet();
    /// @notice Thrown when an endorsement does not hold.
    error NotEndorsed();
    /// @notice Thrown when a transaction has too little gas for what it carries.
    error InsufficientGas();

    /// @notice Thrown when there is nothing to settle with these packets.
    error NothingToSettle();
    /// @notice Thrown when the application to be called is not registered, has no code or is paused.
    error ApplicationUnavailable(uint32 application);
    /// @notice Thrown when an application refused a call that was not part of a batch.
    error ApplicationFailed(bytes reason);
    /// @notice Thrown when a handler returned more than 256 bytes, or what is not an encoding of bytes.
    error InvalidReturn();
    /// @notice Thrown when no failed callback waits for this receipt.
    error NoFailedCallback();
    /// @notice Thrown when two statements are no evidence of equivocation.
    error NoEquivocation();

    /// @notice Thrown when bytes are not the one encoding of a governor message to this hub.
    error MalformedMessage();
    /// @notice Thrown when a governor message was signed for another key epoch.
    error WrongKeyEpoch(uint32 epoch);
    /// @notice Thrown when a governor message does not carry the next counter, or not the current life-cycle number.
    error WrongCounter(uint64 counter, uint64 expected);
    /// @notice Thrown when the signature of a governor message does not hold.
    error NotSigned();
    /// @notice Reason of a governor message that was taken but not executed: its body is malformed.
    error MalformedBody();
    /// @notice Reason of a governor message that was taken but not executed: it does not fit the state of what it names.
    error NotPossible();
}
