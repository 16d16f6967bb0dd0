// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGoverned} from "./IGoverned.sol";

/// @title Registrations, domains, their relay chains, and the requests that change them (docs/protocol/management.md, sections 5 to 7).
/// @notice Request bytes, candidates and routing policies come in the call data wherever they are needed: only their hashes are stored.
interface IDomainRegistry is IGoverned {
    // ------------------------------------------------------------------------------------------------------------ registrations

    /// @notice Gives the next registration number to the caller, its representative.
    function register() external returns (uint32 registration);

    /// @notice Binds a registration to its hub, once; by its representative.
    function bindHub(uint32 registration, uint64 evmChainId, address hub) external;

    /// @notice Names who shall represent a registration from then on; by its representative. The zero address takes it back.
    function proposeRepresentative(uint32 registration, address account) external;

    /// @notice Takes over what the representative has proposed.
    function acceptRepresentative(uint32 registration) external;

    // ------------------------------------------------------------------------------------------------------------ requests

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

    // ------------------------------------------------------------------------------------------------------------ events and errors

    event Registered(uint32 indexed registration, address indexed representative);
    event HubBound(uint32 indexed registration, uint64 evmChainId, address hub);
    event RepresentativeProposed(uint32 indexed registration, address account);
    event RepresentativeChanged(uint32 indexed registration, address account, uint32 epoch);
    event RegistrationClosed(uint32 indexed registration, uint64 closingHeight);
    event RequestFiled(bytes32 indexed requestId, uint32 indexed domain, uint8 indexed kind, bytes request);
    event RequestCosigned(bytes32 indexed requestId, uint32 indexed registration);
    /// @notice Every change of a request's state; `domain` as soon as there is one.
    event RequestStateChanged(bytes32 indexed requestId, uint32 indexed domain, uint8 state);
    event RequestClosed(bytes32 indexed requestId, uint64 blockNumber, bytes candidates);
    /// @notice The decision of a request: its record (section 6). Final once RequestStateChanged says confirmed or executing.
    event DecisionMade(bytes32 indexed requestId, uint32 indexed domain, bytes32 indexed decisionHash, bytes record);
    event DecisionConfirmed(bytes32 indexed requestId, uint32 indexed registration);
    event RequestRejected(bytes32 indexed requestId, uint32 indexed registration);
    event DomainStateChanged(uint32 indexed domain, uint8 state);
    event MemberAdded(uint32 indexed domain, uint32 indexed registration);
    event MemberRemoved(uint32 indexed domain, uint32 indexed registration);
    event ParametersChanged(uint32 indexed domain, bytes parameters);
    event GatewayAuthorised(uint32 indexed domain, address indexed gateway, uint32 quota);
    /// @notice The routing policy of the last decision is in force; its bytes are in that record.
    event PolicyChanged(uint32 indexed domain, uint32 indexed epoch);
    event RelayStateChanged(uint32 indexed domain, uint32 indexed relay, uint8 state);
    event ValidatorsChanged(uint32 indexed relay, uint32 indexed setEpoch, uint8 threshold, uint64[] nodes);
    event GenesisReported(bytes32 indexed requestId, uint32 indexed relay, uint64 indexed node, bytes32 genesisHash);
    event GenesisConfirmed(uint32 indexed relay, bytes32 genesisHash);
    event UptimeReported(uint32 indexed relay, uint64 indexed period, uint64 indexed node, uint256 present);
    event PeriodCounted(uint32 indexed relay, uint64 indexed period, uint256 present);

    /// @notice Thrown when there is no such registration, or it is closed.
    error NoRegistration(uint32 registration);
    /// @notice Thrown when the caller or signer is not the representative of a registration.
    error NotTheRepresentative(uint32 registration, address account);
    /// @notice Thrown when a hub is bound a second time, or was not bound.
    error WrongHub(uint32 registration);
    /// @notice Thrown when request bytes are not encoded as section 5.3 says, or break one of its rules. `rule`: 1 length, 2 version, kind or domain,
    /// 3 parameters, 4 chains, 5 gateways, 6 members, 7 relay chain, 8 validator set, 9 routing policy.
    error MalformedRequest(uint256 rule);
    /// @notice Thrown when there is no such request in that state (the table of section 5.3).
    error WrongRequestState(bytes32 requestId, uint8 state, uint8 input);
    /// @notice Thrown when a domain's state has no such input (the table of section 5.3).
    error WrongDomainState(uint32 domain, uint8 state, uint8 input);
    /// @notice Thrown when a request was made for an older state of its domain.
    error StaleRequest(uint32 expected, uint32 actual);
    /// @notice Thrown when a request has expired, or expires too late.
    error WrongExpiry(uint64 expires);
    /// @notice Thrown when a request that has not expired is expired.
    error NotExpired(uint64 expires);
    /// @notice Thrown when a registration is no party of a request.
    error NotAParty(uint32 registration);
    /// @notice Thrown when a party acts a second time.
    error ActedBefore(uint32 registration);
    /// @notice Thrown when the kind of an approval is not the one that the request needs.
    error WrongApproval(uint8 needed, uint8 actual);
    /// @notice Thrown when there are fewer candidates than seats.
    error NotEnoughNodes(uint256 needed, uint256 present);
    /// @notice Thrown when a draw comes too early.
    error TooEarly(uint64 firstBlock);
    /// @notice Thrown when candidates are not those that were fixed at closing.
    error WrongCandidates();
    /// @notice Thrown when a decision hash is not that of the request.
    error WrongDecision(bytes32 expected);
    /// @notice Thrown when a node has no seat that could report this.
    error NotASeat(uint32 relay, uint64 node);
    /// @notice Thrown when the caller is neither agent nor operator of a node.
    error NotTheAgent(uint64 node, address account);
    /// @notice Thrown when a report is a second one, or says nothing.
    error WrongReport();
    /// @notice Thrown when a period is not the next one, or too early.
    error WrongPeriod(uint64 expected, uint64 earliest);
    /// @notice Thrown when a relay chain is not in a state for this.
    error WrongRelayState(uint32 relay, uint8 state);
    /// @notice Thrown when there is no governor key yet.
    error NoGovernorKey();
    /// @notice Thrown when a signature is none in its one form.
    error MalformedSignature();
}
