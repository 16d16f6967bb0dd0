// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "./IHubEvents.sol";

/// @title What is called rarely, or from outside of the chain: code that a hub runs at a second address. See IHub.
interface IHubAdministration is IHubEvents {
    // ------------------------------------------------------------------------------------------------------------ sending

    /// @notice Gives the calling application a channel of its own, in all lanes of this hub. Transport protocol 1 basic (unordered), 2 reliable (ordered).
    function openChannel(uint8 transportProtocol) external returns (uint32 channel);

    /// @notice The relay chain to which transactions from here to a destination and application are bound.
    function route(uint32 domain, uint32 destination, uint32 application) external view returns (uint32 relay);

    // ------------------------------------------------------------------------------------------------------------ receiving

    /// @notice Freezes a relay chain here, on the evidence that it endorsed two values for one entry (section 14).
    function reportEquivocation(bytes calldata first, bytes calldata second) external;

    /// @notice Takes a governor message (section 10).
    function governor(bytes calldata message) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @notice Number of this hub's registration.
    function REGISTRATION() external view returns (uint32);

    /// @notice Whether small endorser sets are allowed.
    function DEV() external view returns (bool);

    /// @notice Whether messages are also kept in storage, see `message`.
    function QUEUE() external view returns (bool);

    /// @notice Largest gas limit of a handler here.
    function MAX_HANDLER_GAS() external view returns (uint32);

    /// @notice Height, form and content (section 5.1) of an entry; empty on a hub that collects by event.
    function message(uint32 domain, uint32 relay, uint64 number) external view returns (bytes memory);

    /// @notice Head of an outbox. `flags`: bit 0 open, 1 active, 2 relay paused, 3 domain paused, 4 closed, 5 frozen; packets are taken with 3.
    function outbox(uint32 domain, uint32 relay)
        external
        view
        returns (uint64 number, uint64 lastNonce, bytes32 value, uint256 flags);

    /// @notice A registered application: its address (zero if removed), the transaction protocols it may use, whether it is paused and its life-cycle
    /// number.
    function applicationOf(uint32 application)
        external
        view
        returns (address account, uint16 protocols, bool paused, uint32 lifeCycle);

    /// @notice The number of a registered application, 0 for any other address.
    function applicationIdOf(address account) external view returns (uint32);

    /// @notice A relay chain: state 0 unknown, 1 announced, 2 active, 3 draining, 4 frozen, 5 terminated; epoch of its current set of endorsers; end of the
    /// overlap of the set before; life-cycle number.
    function relayOf(uint32 relay)
        external
        view
        returns (uint32 domain, uint8 state, uint32 epoch, uint40 overlapUntil, uint32 lifeCycle);

    /// @notice Life-cycle number and relay chains of a domain, epoch of its routing policy, and what this hub's registration there meets.
    function domainOf(uint32 domain)
        external
        view
        returns (
            uint32 lifeCycle,
            uint32 policyEpoch,
            uint8 method,
            uint8 largestDepth,
            uint16 notaryEpoch,
            uint32[] memory relays
        );

    /// @notice Counter of the last ordered governor message for a domain (0: the hub as a whole).
    function counterOf(uint32 domain) external view returns (uint64);

    /// @notice Group key of the governors and its epoch.
    function governorKey() external view returns (uint256 x, uint8 prefix, uint32 epoch);

    /// @notice Whether a protocol is registered in a layer: 1 transport, 2 verification (methods of endorsement), 3 transaction, 4 application.
    function isRegistered(uint8 layer, uint32 protocol) external view returns (bool);
}
