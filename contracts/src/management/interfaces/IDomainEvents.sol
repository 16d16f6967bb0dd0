// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Events and errors of DomainRegistry. See IDomainRegistry.
interface IDomainEvents {
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
