// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {DomainStates} from "./DomainStates.sol";
import {Representatives} from "./Representatives.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {RequestStates} from "./RequestStates.sol";
import {TAG_DECISION, TAG_DOMAIN_REQUEST, TAG_DRAW} from "./Tags.sol";
import {IDomainRequests} from "./interfaces/IDomainRequests.sol";
import {IDomainRules} from "./interfaces/IDomainRules.sol";

/// @title Requests from filing to the decision: a part of DomainRegistry.
abstract contract Requests is Representatives, IDomainRequests {
    uint256 private constant EXPIRY_MAX_SECONDS = 30 days;
    uint256 private constant CANDIDATE = 20;
    /// The block whose hash is the seed lies so many behind the one that closed the request.
    uint256 private constant SEED_DISTANCE = 2;
    /// The EVM knows the hashes of so many blocks.
    uint256 private constant HASHES = 256;

    uint8 private constant APPROVE = 1;
    uint8 private constant APPROVE_SINGLE_OPERATOR = 2;
    uint8 private constant CONFIRM = 3;
    uint8 private constant REJECT = 4;

    IDomainRules internal immutable _RULES;

    constructor(IDomainRules rules) {
        _RULES = rules;
    }

    // ------------------------------------------------------------------------------------------------------------ filing

    /// @inheritdoc IDomainRequests
    function file(bytes calldata request, uint32 registration, uint8 kind, bytes calldata signature)
        external
        returns (bytes32 requestId)
    {
        (uint32[] memory parties,,) = _RULES.check(request);
        requestId = _idOf(request);
        if (_stateOf(requestId) != RequestStates.NONE) {
            revert WrongRequestState(requestId, _stateOf(requestId), RequestStates.COSIGN);
        }
        uint64 expires = RequestBytes.expiresOf(request);
        if (expires <= block.timestamp || expires > block.timestamp + EXPIRY_MAX_SECONDS) revert WrongExpiry(expires);
        uint32 domain = RequestBytes.domainOf(request);
        _openRequest(requestId, RequestBytes.kindOf(request), domain, expires);
        _requests[requestId].parties = parties;
        _requests[requestId].singleOperator =
            uint8(_parametersOf(request)[RequestBytes.CONSENSUS]) == RequestBytes.SINGLE_OPERATOR;
        emit RequestFiled(requestId, domain, RequestBytes.kindOf(request), request);
        _cosign(requestId, registration, kind, signature);
    }

    /// @inheritdoc IDomainRequests
    function cosign(bytes32 requestId, uint32 registration, uint8 kind, bytes calldata signature) external {
        _cosign(requestId, registration, kind, signature);
    }

    function _cosign(bytes32 requestId, uint32 registration, uint8 kind, bytes calldata signature) private {
        Request storage record = _requests[requestId];
        uint256 bit = _partyBit(record, registration);
        // Who has approved twice hears that, whatever else is wrong by now.
        if (record.cosigned & bit != 0) revert ActedBefore(registration);
        uint256 cosigned = record.cosigned | bit;
        uint8 input = cosigned == _allOf(record) ? RequestStates.COSIGN_LAST : RequestStates.COSIGN;
        _nextState(requestId, input);
        _requireUnexpired(requestId);
        uint8 needed = record.singleOperator ? APPROVE_SINGLE_OPERATOR : APPROVE;
        if (kind != needed) revert WrongApproval(needed, kind);
        _requireVoice(registration, _signedDomain(requestId), kind, requestId, 0, signature);
        record.cosigned = cosigned;
        emit RequestCosigned(requestId, registration);
        _moveRequest(requestId, input);
    }

    // ------------------------------------------------------------------------------------------------------------ closing and drawing

    /// @inheritdoc IDomainRequests
    function close(bytes calldata request) external {
        bytes32 requestId = _idOf(request);
        // Also refuses what was never filed: no state but this one has a way to closing.
        _nextState(requestId, RequestStates.CLOSE);
        _requireUnexpired(requestId);
        (, uint256 sets, uint256 seats) = _RULES.check(request);
        uint32 domain = RequestBytes.domainOf(request);
        uint8 kind = RequestBytes.kindOf(request);
        if (kind != RequestBytes.FORM) {
            _moveDomain(domain, kind == RequestBytes.DISSOLVE ? DomainStates.BEGIN_DISSOLVING : DomainStates.BEGIN);
            _domains[domain].changingRequest = requestId;
        }
        Request storage record = _requests[requestId];
        record.closedInBlock = uint64(block.number);
        if (sets != 0) {
            bytes memory parameters = _parametersOf(request);
            bytes memory candidates = _MARKET.beginDraw(
                RequestBytes.parameterU32(parameters, RequestBytes.LEAST_CAPACITY),
                RequestBytes.parameterU32(parameters, RequestBytes.LEAST_TERM)
            );
            uint256 present = candidates.length / CANDIDATE;
            if (present < sets * seats) revert NotEnoughNodes(sets * seats, present);
            record.candidatesHash = keccak256(candidates);
            _moveRequest(requestId, RequestStates.CLOSE);
            emit RequestClosed(requestId, uint64(block.number), candidates);
            return;
        }
        if (kind == RequestBytes.REPLACE) {
            uint32 relay = _takeReplacement(requestId, request);
            record.relays.push(relay);
        }
        _decide(requestId, request, domain, record.set);
        _decisions[requestId] = record.decisionHash;
        if (kind == RequestBytes.SCALE_DOWN) {
            _setRelayState(RequestBytes.u32At(request, 0), DomainStates.RELAY_DRAINING);
        } else if (kind == RequestBytes.DISSOLVE) {
            _drain(domain, DomainStates.RELAY_ACTIVE, DomainStates.RELAY_DRAINING);
        }
        _moveRequest(requestId, RequestStates.CLOSE_UNDRAWN);
    }

    /// @inheritdoc IDomainRequests
    function draw(bytes calldata request, bytes calldata candidates) external {
        bytes32 requestId = _idOf(request);
        _nextState(requestId, RequestStates.DRAW);
        _requireUnexpired(requestId);
        Request storage record = _requests[requestId];
        if (keccak256(candidates) != record.candidatesHash) revert WrongCandidates();
        uint64[] memory nodes = _RULES.draw(request, _seed(requestId, record.closedInBlock), candidates);
        if (nodes.length == 0) {
            _drop(requestId, RequestStates.DRAW_FAILED);
            return;
        }
        _MARKET.endDraw();
        uint32 domain = RequestBytes.domainOf(request);
        record.drawn = nodes;
        if (RequestBytes.kindOf(request) == RequestBytes.REPLACE) {
            uint32 relay = _takeReplacement(requestId, request);
            record.relays.push(relay);
            record.set.push(nodes[0]);
            _MARKET.reserve(nodes[0], relay);
            nodes = record.set;
        } else {
            if (domain == 0) {
                domain = ++_lastDomain;
                _setDomainNumber(requestId, domain);
                _moveDomain(domain, DomainStates.DECIDE);
                _domains[domain].changingRequest = requestId;
            }
            _makeRelays(requestId, request, domain, nodes);
        }
        _decide(requestId, request, domain, nodes);
        _moveRequest(requestId, RequestStates.DRAW);
    }

    /// @dev Seed of the draw in this block (section 7).
    function _seed(bytes32 requestId, uint256 closedInBlock) private view returns (bytes32) {
        uint256 firstSeedBlock = closedInBlock + SEED_DISTANCE;
        if (block.number <= firstSeedBlock) revert TooEarly(uint64(firstSeedBlock + 1));
        uint256 round = (block.number - firstSeedBlock - 1) / HASHES;
        bytes32 blockHash = blockhash(firstSeedBlock + HASHES * round);
        // It is one of the last 256 blocks, always.
        assert(blockHash != 0);
        bytes memory place = abi.encodePacked(uint64(block.chainid), address(this));
        return keccak256(bytes.concat(TAG_DRAW, place, requestId, bytes4(uint32(round)), blockHash));
    }

    /// @dev New relay chains, with their numbers and the nodes drawn for them.
    function _makeRelays(bytes32 requestId, bytes calldata request, uint32 domain, uint64[] memory nodes) private {
        bytes memory parameters = _parametersOf(request);
        uint256 seats = uint8(parameters[RequestBytes.SEATS]);
        for (uint256 i = 0; i < nodes.length; i += seats) {
            uint32 relay = ++_lastRelay;
            _requests[requestId].relays.push(relay);
            Relay storage record = _relays[relay];
            (record.domain, record.setEpoch) = (domain, 1);
            record.threshold = uint8(parameters[RequestBytes.THRESHOLD]);
            for (uint256 j = i; j < i + seats; ++j) {
                record.nodes.push(nodes[j]);
                _MARKET.reserve(nodes[j], relay);
            }
        }
    }

    /// @dev Writes down what a REPLACE makes of a set, as far as it is known before a draw.
    function _takeReplacement(bytes32 requestId, bytes calldata request) private returns (uint32 relay) {
        relay = RequestBytes.u32At(request, 0);
        Request storage record = _requests[requestId];
        record.out = uint64(Calldata.u64(Calldata.start(request) + RequestBytes.HEAD + 4));
        record.threshold = RequestBytes.u8At(request, 13);
        uint64[] storage nodes = _relays[relay].nodes;
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (nodes[i] != record.out) record.set.push(nodes[i]);
        }
    }

    function _decide(bytes32 requestId, bytes calldata request, uint32 domain, uint64[] memory nodes) private {
        Request storage record = _requests[requestId];
        uint32 number = ++_domains[domain].decisions;
        bytes memory data = _RULES.record(requestId, request, domain, number, record.relays, nodes);
        bytes32 decisionHash = keccak256(bytes.concat(TAG_DECISION, data));
        record.decisionHash = decisionHash;
        emit DecisionMade(requestId, domain, decisionHash, data);
    }

    // ------------------------------------------------------------------------------------------------------------ confirming and ending

    /// @inheritdoc IDomainRequests
    function confirm(bytes32 requestId, bytes32 decisionHash, uint32 registration, bytes calldata signature) external {
        Request storage record = _requests[requestId];
        _nextState(requestId, RequestStates.CONFIRM);
        _requireUnexpired(requestId);
        if (decisionHash != record.decisionHash) revert WrongDecision(record.decisionHash);
        uint256 bit = _partyBit(record, registration);
        if (record.confirmed & bit != 0) revert ActedBefore(registration);
        _requireVoice(registration, _signedDomain(requestId), CONFIRM, requestId, decisionHash, signature);
        record.confirmed |= bit;
        emit DecisionConfirmed(requestId, registration);
        if (record.confirmed != _allOf(record)) return;
        _decisions[requestId] = decisionHash;
        _MARKET.seat(record.drawn);
        if (_kindOf(requestId) != RequestBytes.REPLACE) {
            for (uint256 i = 0; i < record.relays.length; ++i) {
                uint32 relay = record.relays[i];
                _setRelayState(relay, DomainStates.RELAY_ANNOUNCED);
                emit ValidatorsChanged(relay, 1, _relays[relay].threshold, _relays[relay].nodes);
            }
        }
        _moveRequest(requestId, RequestStates.CONFIRM_LAST);
    }

    /// @inheritdoc IDomainRequests
    function reject(bytes32 requestId, uint32 registration, bytes calldata signature) external {
        _nextState(requestId, RequestStates.REJECT);
        _partyBit(_requests[requestId], registration);
        _requireVoice(registration, _signedDomain(requestId), REJECT, requestId, 0, signature);
        emit RequestRejected(requestId, registration);
        _drop(requestId, RequestStates.REJECT);
    }

    /// @inheritdoc IDomainRequests
    function expire(bytes32 requestId) external {
        _nextState(requestId, RequestStates.EXPIRE);
        if (block.timestamp <= _expiresOf(requestId)) revert NotExpired(_expiresOf(requestId));
        _drop(requestId, RequestStates.EXPIRE);
    }

    /// @inheritdoc IDomainRequests
    function tick() external {}

    /// @dev Ends a request that has not come to its end, and undoes what it holds.
    function _drop(bytes32 requestId, uint8 input) internal {
        uint8 before = _stateOf(requestId);
        uint32 domain = _domainNumberOf(requestId);
        uint8 kind = _kindOf(requestId);
        _moveRequest(requestId, input);
        if (before == RequestStates.CLOSED) _MARKET.endDraw();
        if (before == RequestStates.DRAWN) _MARKET.release(_requests[requestId].drawn);
        if (before >= RequestStates.DRAWN) _dropSeats(requestId, before, kind, input == RequestStates.EXPIRE);
        delete _decisions[requestId];
        if (kind == RequestBytes.FORM) {
            if (before >= RequestStates.DRAWN) _moveDomain(domain, DomainStates.ABANDON);
        } else if (before >= RequestStates.CLOSED) {
            // Executing SCALE_DOWN and DISSOLVE have drained relay chains.
            if (before == RequestStates.EXECUTING) {
                _drain(domain, DomainStates.RELAY_DRAINING, DomainStates.RELAY_ACTIVE);
            }
            _moveDomain(domain, DomainStates.END);
        }
        delete _domains[domain].changingRequest;
    }

    /// @dev Relay chains of a decision that dies never were; nodes that were seated have perhaps used their keys.
    function _dropSeats(bytes32 requestId, uint8 before, uint8 kind, bool late) private {
        Request storage record = _requests[requestId];
        bool replaces = kind == RequestBytes.REPLACE;
        for (uint256 i = 0; i < record.relays.length; ++i) {
            uint32 relay = record.relays[i];
            uint64[] storage nodes = replaces ? record.drawn : _relays[relay].nodes;
            if (before == RequestStates.CONFIRMED && late) {
                for (uint256 j = 0; j < nodes.length; ++j) {
                    if (_genesisReports[requestId][relay][nodes[j]] == 0) _MARKET.recordNoShow(nodes[j]);
                }
            }
            if (before >= RequestStates.CONFIRMED) _MARKET.unseat(relay, nodes, false);
            if (replaces) continue;
            delete _genesis[relay];
            _setRelayState(relay, DomainStates.RELAY_TERMINATED);
        }
    }

    /// @dev Moves all relay chains of a domain that are in one state to another.
    function _drain(uint32 domain, uint8 from, uint8 to) private {
        uint32[] storage relays = _domains[domain].relays;
        for (uint256 i = 0; i < relays.length; ++i) {
            if (_relays[relays[i]].state == from) _setRelayState(relays[i], to);
        }
    }

    // ------------------------------------------------------------------------------------------------------------ small things

    function _idOf(bytes calldata request) internal view returns (bytes32) {
        bytes memory place = abi.encodePacked(uint64(block.chainid), address(this));
        return keccak256(bytes.concat(TAG_DOMAIN_REQUEST, place, request));
    }

    /// @dev Parameters of the domain as a request finds them; FORM brings its own.
    function _parametersOf(bytes calldata request) internal view returns (bytes memory) {
        if (RequestBytes.kindOf(request) == RequestBytes.FORM) {
            return request[RequestBytes.HEAD:RequestBytes.HEAD + RequestBytes.PARAMETERS_LENGTH];
        }
        return _domains[RequestBytes.domainOf(request)].parameters;
    }

    /// @dev The domain in what representatives sign: that of the request's bytes.
    function _signedDomain(bytes32 requestId) private view returns (uint32) {
        return _kindOf(requestId) == RequestBytes.FORM ? 0 : _domainNumberOf(requestId);
    }

    function _requireUnexpired(bytes32 requestId) private view {
        if (block.timestamp > _expiresOf(requestId)) revert WrongExpiry(_expiresOf(requestId));
    }

    function _partyBit(Request storage record, uint32 registration) private view returns (uint256) {
        uint32[] storage parties = record.parties;
        for (uint256 i = 0; i < parties.length; ++i) {
            if (parties[i] == registration) return 1 << i;
        }
        revert NotAParty(registration);
    }

    function _allOf(Request storage record) private view returns (uint256) {
        return (1 << record.parties.length) - 1;
    }
}
