// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the four contracts of the management chain have in common: the way in for the governors (docs/protocol/management.md, section 3).
interface IGoverned {
    /// @notice Takes a governor message; anybody may carry it. Reverts where container, counter or signature is wrong; a message whose execution fails
    /// uses up its number.
    function governor(bytes calldata message) external;

    /// @notice Executes the content of a verified message. Only this contract itself may call it.
    function executeGovernorMessage(uint32 domain, uint8 kind, bytes calldata body) external;

    /// @notice Counter of the last governor message for a domain (0: the contract as a whole).
    function counterOf(uint32 domain) external view returns (uint64);

    /// @notice Number of this contract, 1 to 4: the target of what is signed for it.
    function CONTRACT_NUMBER() external view returns (uint32);

    /// @notice A governor message was taken. `done` is false where its execution failed, `reason` says why.
    event GovernorMessageHandled(uint32 indexed domain, uint64 indexed counter, uint8 kind, bool done, bytes reason);

    /// @notice Thrown when a governor message is not encoded as section 3 says, or is for another contract.
    error MalformedMessage();
    /// @notice Thrown when a message's counter is not the last one + 1.
    error WrongCounter(uint64 expected, uint64 actual);
    /// @notice Thrown when a message names another key epoch than the current one.
    error WrongKeyEpoch(uint32 expected, uint32 actual);
    /// @notice Thrown when a message does not carry the governors' signature.
    error WrongGovernorSignature();
    /// @notice Thrown when a body is none of its kind, or the kind is none of this contract or of that domain.
    error MalformedBody();
    /// @notice Thrown when a function that is only for this contract itself is called by another.
    error OnlySelf();
    /// @notice Thrown when there is too little gas for what a message does; it can be sent again.
    error NotEnoughGas();
}
