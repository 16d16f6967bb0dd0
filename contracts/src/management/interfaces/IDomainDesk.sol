// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDomainEvents} from "./IDomainEvents.sol";

/// @title Registrations, reports and reading: what DomainRegistry runs as its own at a second address. See IDomainRegistry.
interface IDomainDesk is IDomainEvents {
    // ------------------------------------------------------------------------------------------------------------ registrations

    /// @notice Gives the next registration number to the caller, its representative.
    function register() external returns (uint32 registration);

    /// @notice Binds a registration to its hub, once; by its representative.
    function bindHub(uint32 registration, uint64 evmChainId, address hub) external;

    /// @notice Names who shall represent a registration from then on; by its representative. The zero address takes it back.
    function proposeRepresentative(uint32 registration, address account) external;

    /// @notice Takes over what the representative has proposed.
    function acceptRepresentative(uint32 registration) external;

    // ------------------------------------------------------------------------------------------------------------ agents

    /// @notice States the genesis hash of a relay chain; by the agent or operator of a seat of the decision, once.
    function reportGenesis(bytes32 requestId, uint32 relay, uint64 node, bytes32 genesisHash) external;

    /// @notice States who was present in a period (section 4.4); by the agent or operator of a seat, once per period.
    function reportUptime(uint32 relay, uint64 period, uint64 node, uint256 present) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    function PERIOD_SECONDS() external view returns (uint32);

    /// @notice A registration: representative (zero if there is none) and its epoch, who is proposed, hub and EVM chain id once they are bound; closing
    /// height + 1 once it is closed.
    function registrationOf(uint32 registration)
        external
        view
        returns (
            address representative,
            uint32 representativeEpoch,
            address proposed,
            uint64 evmChainId,
            address hub,
            uint64 closed
        );

    /// @notice A request: state (section 5.3), kind, domain, when it expires, block that closed it, parties, bits of those that have co-signed and
    /// confirmed, hash of the candidates, hash of the decision.
    function requestOf(bytes32 requestId)
        external
        view
        returns (
            uint8 state,
            uint8 kind,
            uint32 domain,
            uint64 expires,
            uint64 closedInBlock,
            uint32[] memory parties,
            uint256 cosigned,
            uint256 confirmed,
            bytes32 candidatesHash,
            bytes32 decisionHash
        );

    /// @notice Relay chains that a request makes or changes.
    function relaysOf(bytes32 requestId) external view returns (uint32[] memory);

    /// @notice Nodes that were drawn for a request.
    function drawnOf(bytes32 requestId) external view returns (uint64[] memory);

    /// @notice A domain: state, number of its decisions, epoch of its routing policy, request that changes it, parameters, members, relay chains that are not
    /// terminated.
    function domainOf(uint32 domain)
        external
        view
        returns (
            uint8 state,
            uint32 decisions,
            uint32 policyEpoch,
            bytes32 changingRequest,
            bytes memory parameters,
            uint32[] memory members,
            uint32[] memory relays
        );

    /// @notice A relay chain: domain, state, set epoch, threshold, genesis hash (zero until all have reported it), nodes in the order of the set.
    function relayOf(uint32 relay)
        external
        view
        returns (
            uint32 domain,
            uint8 state,
            uint32 setEpoch,
            uint8 threshold,
            bytes32 genesisHash,
            uint64[] memory nodes
        );

    /// @notice Quota of a gateway in a domain, 0 if it is not authorised.
    function gatewayQuota(uint32 domain, address gateway) external view returns (uint32);

    /// @notice Number of authorised gateways of a domain.
    function gatewayCount(uint32 domain) external view returns (uint16);

    /// @notice What a seat has reported as the genesis hash in a request, 0 if nothing.
    function genesisReportOf(bytes32 requestId, uint32 relay, uint64 node) external view returns (bytes32);

    /// @notice Last period that has counted, and when.
    function uptimeOf(uint32 relay) external view returns (uint64 period, uint64 countedAt);

    /// @notice Highest numbers given out.
    function counts() external view returns (uint32 registrations, uint32 domains, uint32 relays);

    /// @notice Thrown when the desk is called at its own address, and not through DomainRegistry.
    error OnlyThroughRegistry();
}
