// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDomainEvents} from "./IDomainEvents.sol";

/// @title Requests from filing to their end: what DomainRegistry does itself. See IDomainRegistry.
interface IDomainRequests is IDomainEvents {
    /// @notice Files a request with the approval of one of its parties (`kind`, `signature` as in `cosign`).
    function file(bytes calldata request, uint32 registration, uint8 kind, bytes calldata signature)
        external
        returns (bytes32 requestId);

    /// @notice Approves a filed request as a party.
    /// @param kind 1; 2 exactly where the parameters say single-operator consensus.
    /// @param signature 65 bytes by the representative; empty if the representative itself calls.
    function cosign(bytes32 requestId, uint32 registration, uint8 kind, bytes calldata signature) external;

    /// @notice Closes a co-signed request: fixes the candidates, or makes the decision where nothing is drawn. By anybody.
    function close(bytes calldata request) external;

    /// @notice Draws the nodes and makes the decision (section 7). By anybody, from the third block after closing on.
    /// @param candidates As in the event RequestClosed.
    function draw(bytes calldata request, bytes calldata candidates) external;

    /// @notice Confirms a decision as a party; the last one makes it final.
    function confirm(bytes32 requestId, bytes32 decisionHash, uint32 registration, bytes calldata signature) external;

    /// @notice Refuses a request as a party, before its decision is final.
    function reject(bytes32 requestId, uint32 registration, bytes calldata signature) external;

    /// @notice Ends a request whose time is over. By anybody.
    function expire(bytes32 requestId) external;

    /// @notice Does nothing: whoever waits for a block on an idle chain makes one with it.
    function tick() external;
}
