// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplication} from "../interfaces/IApplication.sol";
import {IHubAdministration} from "../interfaces/IHubAdministration.sol";
import {IHubExecute} from "../interfaces/IHubSelf.sol";
import {Frost} from "../crypto/Frost.sol";
import {Calldata} from "./Calldata.sol";
import {CommitVerifier} from "./CommitVerifier.sol";
import {HubStorage} from "./HubStorage.sol";
import {Protocols} from "./Protocols.sol";
import {ApplicationLayer} from "./ApplicationLayer.sol";
import {TAG_GOVERNOR_HUB} from "./Tags.sol";

/// @title Governor messages to a hub (formats, section 10): the only way to change a setting. And evidence that freezes a relay chain.
/// @notice Code of a hub that is called rarely. It lies at an address of its own because of the limit on the size of code; a hub creates it, with the
/// same binding, in its constructor, and runs it by delegatecall for the functions below and no others. It can never be exchanged.
/// @dev Called directly it works on its own storage, which holds no governor key, no domain and no relay chain: everything is refused.
contract Administration is ApplicationLayer, IHubAdministration, IHubExecute {
    uint256 private constant NO_OP = 1;
    uint256 private constant OPEN_DOMAIN = 2;
    uint256 private constant REGISTER_RELAY = 3;
    uint256 private constant RELAY_STATE = 4;
    uint256 private constant ENDORSER_SET = 5;
    uint256 private constant ROUTING_POLICY = 6;
    uint256 private constant REGISTER_PEER = 7;
    uint256 private constant REGISTER_APPLICATION = 8;
    uint256 private constant PAUSE = 9;
    uint256 private constant UNPAUSE = 10;
    uint256 private constant FREEZE_RELAY = 11;
    uint256 private constant CLOSE = 12;
    uint256 private constant ROTATE = 13;
    uint256 private constant APPLICATION_CALL = 14;
    uint256 private constant VERIFICATION = 15;

    uint256 private constant SCOPE_APPLICATION = 1;
    uint256 private constant SCOPE_RELAY = 2;
    uint256 private constant SCOPE_DOMAIN = 3;

    uint256 private constant ROUTING_SLOTS = 1024;
    /// Loops over all domains or all relay chains of one must fit a block.
    uint256 private constant LIST_LIMIT = 64;

    /// What a bound outbox copies from the free one of its domain: largest body, version, pause of the domain, closing.
    uint256 private constant HEAD_SHARED =
        (uint256(0xffffff) << HEAD_MAX_BODY) | (VERSION_MASK << HEAD_VERSION) | FLAG_DOMAIN_PAUSED | FLAG_CLOSED;

    constructor(Binding memory binding, CommitVerifier commitVerifier) HubStorage(binding, commitVerifier) {}

    // ------------------------------------------------------------------------------------------------------------ taking a message

    /// @inheritdoc IHubAdministration
    function governor(bytes calldata message_) external onThisChain {
        _enter();
        uint256 offset = Calldata.start(message_);
        uint256 domain = Calldata.u32(offset + 2);
        uint256 kind = Calldata.u8(offset + 14);
        uint64 counter = uint64(Calldata.u64(offset + 35));
        bytes calldata body = _openMessage(message_);

        if (kind == PAUSE || kind == FREEZE_RELAY) {
            // Outside the order of the others: nothing is counted, so a message that is not possible can only be refused.
            uint64 lifeCycle = kind == PAUSE ? _pauseLifeCycle(domain, body) : _relayLifeCycle(domain, body);
            if (counter != lifeCycle) revert WrongCounter(counter, lifeCycle);
            if (kind == PAUSE) _setPaused(body, true);
            else _freeze(domain, Calldata.u32(Calldata.start(body)));
            emit GovernorMessageHandled(uint32(domain), counter, uint8(kind), true, "");
        } else {
            uint64 expected = _counters[domain] + 1;
            if (counter != expected) revert WrongCounter(counter, expected);
            _counters[domain] = counter;
            (bool done, bytes memory reason) =
                address(this).call(abi.encodeCall(IHubExecute.execute, (uint32(domain), uint8(kind), body)));
            // A failure for want of gas is the carrier's doing and must not use up the message. Every failure of our own has a reason.
            if (!done && (reason.length < 4 || bytes4(reason) == InsufficientGas.selector)) revert InsufficientGas();
            emit GovernorMessageHandled(uint32(domain), counter, uint8(kind), done, reason);
        }
        _leave();
    }

    /// @dev The body of a message that is well-formed, meant for this hub and signed by the governors. Everything else reverts.
    function _openMessage(bytes calldata message_) private view returns (bytes calldata body) {
        uint256 offset = Calldata.start(message_);
        uint256 length = Calldata.u16(offset + 43);
        bool valid = message_.length >= 110 && message_.length == 110 + length && Calldata.u8(offset) == 1
            && Calldata.u8(offset + 1) == 1 && Calldata.u32(offset + 6) == _REGISTRATION
            && address(uint160(Calldata.word(offset + 15) >> 96)) == address(this);
        if (!valid) revert MalformedMessage();
        if (Calldata.u32(offset + 10) != _governorKeyEpoch) revert WrongKeyEpoch(uint32(Calldata.u32(offset + 10)));
        // The prefix of section 2 from domain to kind, and contract and counter of the signed body, lie in the message side by side.
        bytes32 digest = keccak256(abi.encodePacked(TAG_GOVERNOR_HUB, message_[2:43], message_[45:45 + length]));
        bool signed = Frost.verify(
            _governorKeyX, _governorKeyPrefix, abi.encodePacked(digest), Calldata.slice(offset + 45 + length, 65)
        );
        if (!signed) revert NotSigned();
        return message_[45:45 + length];
    }

    /// @inheritdoc IHubExecute
    /// @dev What fails reverts, so that nothing is half done.
    function execute(uint32 domain, uint8 kind, bytes calldata body) external onlySelf {
        bool wholeHub = kind == REGISTER_APPLICATION || kind == CLOSE || kind == ROTATE || kind == APPLICATION_CALL;
        bool either = kind == NO_OP || kind == UNPAUSE;
        if (!either && wholeHub != (domain == 0)) revert MalformedBody();
        if (kind == NO_OP) _requireLength(body, 0);
        else if (kind == OPEN_DOMAIN) _openDomain(domain, body);
        else if (kind == REGISTER_RELAY) _registerRelay(domain, body);
        else if (kind == RELAY_STATE) _setRelayState(domain, body);
        else if (kind == ENDORSER_SET) _setEndorsers(domain, body);
        else if (kind == ROUTING_POLICY) _setRouting(domain, body);
        else if (kind == REGISTER_PEER) _registerPeer(domain, body);
        else if (kind == REGISTER_APPLICATION) _registerApplication(body);
        else if (kind == UNPAUSE) _unpause(domain, body);
        else if (kind == CLOSE) _close(body);
        else if (kind == ROTATE) _rotate(body);
        else if (kind == APPLICATION_CALL) _callApplication(body);
        else if (kind == VERIFICATION) _setVerification(domain, body);
        else revert MalformedBody();
    }

    function _requireLength(bytes calldata body, uint256 length) private pure {
        if (body.length != length) revert MalformedBody();
    }

    function _require(bool possible) private pure {
        if (!possible) revert NotPossible();
    }

    // ------------------------------------------------------------------------------------------------------------ domains

    /// @dev Opens a domain, or changes the parameters of an open one.
    function _openDomain(uint256 domain, bytes calldata body) private {
        _requireLength(body, 12);
        uint256 offset = Calldata.start(body);
        uint256 maxBody = Calldata.u32(offset);
        uint256 minDelta = Calldata.u32(offset + 4);
        uint256 maxDelta = Calldata.u32(offset + 8);
        _require(maxBody <= 0xffffff && minDelta <= 0xffffff && minDelta <= maxDelta && _closed == 0);
        Domain storage record = _domains[domain];
        bool opened = record.lifeCycle == 0;
        if (opened) {
            _require(_domainList.length < LIST_LIMIT);
            _domainList.push(uint32(domain));
            record.lifeCycle = 1;
            _openOutbox(domain, 0, FLAG_ACTIVE | (1 << HEAD_VERSION));
        }
        uint256 key = _outboxKey(domain, 0);
        _head[key] = (_head[key] & ~(uint256(0xffffff) << HEAD_MAX_BODY)) | (maxBody << HEAD_MAX_BODY);
        record.minDelta = uint24(minDelta);
        record.maxDelta = uint32(maxDelta);
        if (!opened) _raiseVersion(domain);
    }

    /// @dev Copies what the bound outboxes share with the free one of their domain.
    function _shareHead(uint256 domain) private {
        uint256 shared = _head[_outboxKey(domain, 0)] & HEAD_SHARED;
        uint32[] storage relays = _domains[domain].relays;
        for (uint256 i = 0; i < relays.length; ++i) {
            uint256 key = _outboxKey(domain, relays[i]);
            _head[key] = (_head[key] & ~HEAD_SHARED) | shared;
        }
    }

    /// @dev Lets every lane of the domain read its settings again, and hands on what heads share.
    function _raiseVersion(uint256 domain) private {
        uint256 key = _outboxKey(domain, 0);
        uint256 head = _head[key];
        // A version is never used twice, lest a lane that slept take old settings for current ones.
        _require((head >> HEAD_VERSION) & VERSION_MASK != VERSION_MASK);
        _head[key] = head + (1 << HEAD_VERSION);
        _shareHead(domain);
    }

    function _requireDomain(uint256 domain) private view returns (Domain storage record) {
        record = _domains[domain];
        _require(record.lifeCycle != 0);
    }

    function _registerPeer(uint256 domain, bytes calldata body) private {
        _requireLength(body, 17);
        uint256 offset = Calldata.start(body);
        uint256 registration = Calldata.u32(offset);
        uint64 evmChainId = uint64(Calldata.u64(offset + 4));
        uint256 member = Calldata.u8(offset + 16);
        if (member > 1) revert MalformedBody();
        _requireDomain(domain);
        _require(registration != 0 && registration != _REGISTRATION);
        if (_headPeer[domain] == 0) _headPeer[domain] = registration;
        Peer storage peer = _peers[_outboxKey(domain, registration)];
        uint256 old = (domain << 64) | peer.evmChainId;
        if (_registrationOfChain[old] == registration) delete _registrationOfChain[old];
        if (member == 1 && evmChainId != 0) _registrationOfChain[(domain << 64) | evmChainId] = registration;
        peer.member = member == 1;
        peer.evmChainId = evmChainId;
        peer.largestHandlerGas = uint32(Calldata.u32(offset + 12));
        _raiseVersion(domain);
    }

    function _setVerification(uint256 domain, bytes calldata body) private {
        _requireLength(body, 4);
        uint256 offset = Calldata.start(body);
        uint256 method = Calldata.u8(offset);
        if (method == 0 || method > 3) revert MalformedBody();
        Domain storage record = _requireDomain(domain);
        record.method = uint8(method);
        record.largestDepth = uint8(Calldata.u8(offset + 1));
        record.notaryEpoch = uint16(Calldata.u16(offset + 2));
        _raiseVersion(domain);
    }

    // ------------------------------------------------------------------------------------------------------------ relay chains

    function _registerRelay(uint256 domain, bytes calldata body) private {
        uint256 offset = Calldata.start(body);
        uint256 relay = Calldata.u32(offset);
        uint256 set = offset + 36;
        uint256 hash = _checkSet(domain, relay, set, offset + body.length);
        Domain storage record = _requireDomain(domain);
        _require(relay != 0 && _relays[relay].domain == 0 && _closed == 0 && record.relays.length < LIST_LIMIT);
        record.relays.push(uint32(relay));
        _relays[relay] = Relay({
            domain: uint32(domain),
            state: ANNOUNCED,
            epoch: uint32(Calldata.u32(set)),
            overlapUntil: 0,
            lifeCycle: 1,
            genesisHash: bytes32(Calldata.word(offset + 4))
        });
        uint256 free = _head[_outboxKey(domain, 0)];
        _openOutbox(domain, relay, free & HEAD_SHARED);
        _currentSet[relay] = hash | (free & FLAG_DOMAIN_PAUSED != 0 ? SET_DOMAIN_PAUSED : 0);
    }

    /// @dev The stored form of the hash of the set that fills the call data from `offset` to `end`. Reverts if it cannot be a set.
    function _checkSet(uint256 domain, uint256 relay, uint256 offset, uint256 end) private view returns (uint256) {
        if (_setEnd(offset, end) != end) revert MalformedBody();
        uint256 method = Calldata.u8(offset + 4);
        uint256 threshold = Calldata.u8(offset + 5);
        uint256 members = Calldata.u8(offset + 6);
        // What less than two thirds have voted for is no decision of the chain, so commits have no exception for developers.
        bool bindingThreshold = !_DEV || method == Protocols.ENDORSED_BY_COMMIT;
        if ((!_DEV && members < 2) || (bindingThreshold && 3 * threshold <= 2 * members)) revert MalformedBody();
        if (method != Protocols.ENDORSED_BY_THRESHOLD_KEY) {
            for (uint256 i = 0; i < members; ++i) {
                uint256 member = Calldata.word(offset + 7 + 20 * i) >> 96;
                if (member == 0) revert MalformedBody();
                for (uint256 j = 0; j < i; ++j) {
                    if (member == Calldata.word(offset + 7 + 20 * j) >> 96) revert MalformedBody();
                }
            }
        } else {
            (bool valid,,) = Frost.decodeKey(Calldata.slice(offset + 7, 33));
            if (!valid) revert MalformedBody();
        }
        return _setHash(domain, relay, offset, end);
    }

    /// @dev A relay chain of the domain that may still be changed.
    function _requireRelay(uint256 domain, uint256 relay) private view returns (Relay storage record) {
        record = _relays[relay];
        _require(relay != 0 && record.domain == domain && record.domain != 0 && _closed == 0);
    }

    function _setRelayState(uint256 domain, bytes calldata body) private {
        _requireLength(body, 5);
        uint256 relay = Calldata.u32(Calldata.start(body));
        uint256 state = Calldata.u8(Calldata.start(body) + 4);
        if (state != ACTIVE && state != DRAINING && state != TERMINATED) revert MalformedBody();
        Relay storage record = _requireRelay(domain, relay);
        uint256 key = _outboxKey(domain, relay);
        if (state == ACTIVE) {
            _require(record.state == ANNOUNCED);
            _head[key] |= FLAG_ACTIVE;
        } else if (state == DRAINING) {
            _require(record.state == ACTIVE);
            _head[key] &= ~FLAG_ACTIVE;
            _report(REPORT_DRAINING, domain, relay);
        } else {
            // A frozen one may be terminated too: its open transactions are decided by governors then.
            _require(record.state == DRAINING || record.state == FROZEN);
            _currentSet[relay] = 0;
            _previousSet[relay] = 0;
        }
        record.state = uint8(state);
    }

    function _setEndorsers(uint256 domain, bytes calldata body) private {
        uint256 offset = Calldata.start(body);
        uint256 relay = Calldata.u32(offset);
        uint256 overlap = Calldata.u32(offset + 4);
        uint256 hash = _checkSet(domain, relay, offset + 8, offset + body.length);
        Relay storage record = _requireRelay(domain, relay);
        _require(record.state != FROZEN && record.state != TERMINATED);
        _require(Calldata.u32(offset + 8) == uint256(record.epoch) + 1);
        uint256 current = _currentSet[relay];
        _previousSet[relay] = overlap == 0 ? 0 : current & ~SET_FLAGS;
        _currentSet[relay] = hash | (current & SET_FLAGS);
        record.overlapUntil = uint40(block.timestamp + overlap);
        record.epoch += 1;
    }

    /// @dev The ranges cover all slots exactly once. A relay chain has one range, since its head holds one.
    function _setRouting(uint256 domain, bytes calldata body) private {
        uint256 offset = Calldata.start(body);
        uint256 epoch = Calldata.u32(offset);
        uint256 count = Calldata.u8(offset + 4);
        _requireLength(body, 5 + 8 * count);
        _checkCover(offset + 5, count);
        Domain storage record = _requireDomain(domain);
        _require(epoch > record.policyEpoch);
        record.policyEpoch = uint32(epoch);

        uint256 mask = ((uint256(1) << 21) - 1) << HEAD_FIRST_SLOT;
        for (uint256 i = 0; i < record.relays.length; ++i) {
            _head[_outboxKey(domain, record.relays[i])] &= ~mask;
        }
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = Calldata.word(offset + 5 + 8 * i);
            uint256 key = _outboxKey(domain, word >> 224);
            bool active = _head[key] & (FLAG_OPEN | FLAG_ACTIVE) == FLAG_OPEN | FLAG_ACTIVE;
            _require(word >> 224 != 0 && active && _head[key] & mask == 0);
            _head[key] |= (((word >> 208) & 0xffff) << HEAD_FIRST_SLOT) | (((word >> 192) & 0xffff) << HEAD_SLOTS);
        }
    }

    /// @dev Reverts unless `count` ranges at `offset` (relay u32, first u16, slots u16) follow each other and cover all slots: a policy has one encoding.
    function _checkCover(uint256 offset, uint256 count) private pure {
        uint256 covered;
        for (uint256 i = 0; i < count; ++i) {
            uint256 slots = Calldata.u16(offset + 8 * i + 6);
            if (Calldata.u16(offset + 8 * i + 4) != covered || slots == 0) revert MalformedBody();
            covered += slots;
        }
        if (covered != ROUTING_SLOTS) revert MalformedBody();
    }

    // ------------------------------------------------------------------------------------------------------------ applications

    function _registerApplication(bytes calldata body) private {
        _requireLength(body, 26);
        uint256 offset = Calldata.start(body);
        uint256 application = Calldata.u32(offset);
        address account = address(uint160(Calldata.word(offset + 4) >> 96));
        uint256 protocols = Calldata.u16(offset + 24);
        // Transaction protocols are 0 to 4; the other bits are reserved.
        if (protocols >> 5 != 0) revert MalformedBody();
        uint256 record = _applications[application];
        _require(application != 0);
        _senders[address(uint160(record))] = 0;
        _require(_senders[account] == 0 && account != address(this));
        uint256 lifeCycle = record >> APP_LIFE_CYCLE == 0 ? 1 : record >> APP_LIFE_CYCLE;
        record = (lifeCycle << APP_LIFE_CYCLE) | (record & APP_PAUSED);
        if (account != address(0)) {
            record |= uint160(account) | (protocols << APP_PROTOCOLS);
            _senders[account] =
                application | (protocols << SENDER_PROTOCOLS) | (record & APP_PAUSED != 0 ? SENDER_PAUSED : 0);
        }
        _applications[application] = record;
    }

    function _callApplication(bytes calldata body) private {
        if (body.length < 4) revert MalformedBody();
        (address account,) = _callable(Calldata.u32(Calldata.start(body)));
        _require(account != address(0));
        (bool success, bytes memory reason) =
            _callExactly(account, SETTING_GAS, abi.encodeCall(IApplication.onGovernor, (body[4:])));
        if (!success) revert ApplicationFailed(reason);
    }

    // ------------------------------------------------------------------------------------------------------------ pause, freeze, close

    /// @dev Life-cycle number of what a PAUSE or UNPAUSE of this domain names.
    function _pauseLifeCycle(uint256 domain, bytes calldata body) private view returns (uint64 lifeCycle) {
        _requireLength(body, 5);
        uint256 scope = Calldata.u8(Calldata.start(body));
        uint256 id = Calldata.u32(Calldata.start(body) + 1);
        if (scope == SCOPE_APPLICATION && domain == 0) {
            lifeCycle = uint64(_applications[id] >> APP_LIFE_CYCLE);
        } else if (scope == SCOPE_RELAY && domain != 0 && _relays[id].domain == domain) {
            lifeCycle = _relays[id].lifeCycle;
        } else if (scope == SCOPE_DOMAIN && id == domain) {
            lifeCycle = _domains[id].lifeCycle;
        } else {
            revert MalformedBody();
        }
        _require(lifeCycle != 0);
    }

    function _relayLifeCycle(uint256 domain, bytes calldata body) private view returns (uint64) {
        _requireLength(body, 4);
        return _requireRelay(domain, Calldata.u32(Calldata.start(body))).lifeCycle;
    }

    function _setPaused(bytes calldata body, bool paused) private {
        uint256 scope = Calldata.u8(Calldata.start(body));
        uint256 id = Calldata.u32(Calldata.start(body) + 1);
        if (scope == SCOPE_APPLICATION) {
            address account = address(uint160(_applications[id]));
            _applications[id] = _with(_applications[id], APP_PAUSED, paused);
            if (account != address(0)) _senders[account] = _with(_senders[account], SENDER_PAUSED, paused);
        } else if (scope == SCOPE_RELAY) {
            uint256 key = _outboxKey(_relays[id].domain, id);
            _head[key] = _with(_head[key], FLAG_RELAY_PAUSED, paused);
            _pauseSet(id, SET_RELAY_PAUSED, paused);
        } else {
            uint256 key = _outboxKey(id, 0);
            _head[key] = _with(_head[key], FLAG_DOMAIN_PAUSED, paused);
            _shareHead(id);
            uint32[] storage relays = _domains[id].relays;
            for (uint256 i = 0; i < relays.length; ++i) {
                _pauseSet(relays[i], SET_DOMAIN_PAUSED, paused);
            }
        }
    }

    function _pauseSet(uint256 relay, uint256 flag, bool paused) private {
        uint256 set = _currentSet[relay];
        // Zero means that no set is accepted and must stay zero.
        if (set != 0) _currentSet[relay] = _with(set, flag, paused);
    }

    function _with(uint256 word, uint256 flag, bool set) private pure returns (uint256) {
        return set ? word | flag : word & ~flag;
    }

    function _unpause(uint256 domain, bytes calldata body) private {
        _pauseLifeCycle(domain, body);
        _setPaused(body, false);
        uint256 scope = Calldata.u8(Calldata.start(body));
        uint256 id = Calldata.u32(Calldata.start(body) + 1);
        if (scope == SCOPE_APPLICATION) _applications[id] += 1 << APP_LIFE_CYCLE;
        else if (scope == SCOPE_RELAY) ++_relays[id].lifeCycle;
        else ++_domains[id].lifeCycle;
    }

    /// @dev Refuses every endorsement of a relay chain from now on, and makes a report. Again: no effect.
    function _freeze(uint256 domain, uint256 relay) internal {
        Relay storage record = _relays[relay];
        if (record.state == FROZEN || record.state == TERMINATED) return;
        record.state = FROZEN;
        _currentSet[relay] = 0;
        _previousSet[relay] = 0;
        uint256 key = _outboxKey(domain, relay);
        _head[key] = (_head[key] | FLAG_FROZEN) & ~FLAG_ACTIVE;
        _report(REPORT_FROZEN, domain, relay);
    }

    /// @dev Ends the hub: every endorsement and every send is refused from now on.
    function _close(bytes calldata body) private {
        _requireLength(body, 0);
        _require(_closed == 0);
        _closed = block.number;
        for (uint256 i = 0; i < _domainList.length; ++i) {
            uint256 domain = _domainList[i];
            _report(REPORT_CLOSED, domain, 0);
            _head[_outboxKey(domain, 0)] |= FLAG_CLOSED;
            _shareHead(domain);
            uint32[] storage relays = _domains[domain].relays;
            for (uint256 j = 0; j < relays.length; ++j) {
                _currentSet[relays[j]] = 0;
                _previousSet[relays[j]] = 0;
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------ governor key

    function _rotate(bytes calldata body) private {
        (bool valid, uint256 x, uint8 prefix) = Frost.decodeKey(body);
        if (!valid) revert MalformedBody();
        _require(_governorKeyEpoch != type(uint32).max);
        _governorKeyX = x;
        _governorKeyPrefix = prefix;
        _governorKeyEpoch += 1;
    }

    // ------------------------------------------------------------------------------------------------------------ equivocation

    /// @inheritdoc IHubAdministration
    function reportEquivocation(bytes calldata first, bytes calldata second) external onThisChain {
        _enter();
        (uint256 relay, uint256 domain, uint256 destination, uint256 number, bytes32 value) = _openStatement(first);
        (uint256 relay2, uint256 domain2, uint256 destination2, uint256 number2, bytes32 value2) =
            _openStatement(second);
        bool equivocation =
            relay == relay2 && domain == domain2 && destination == destination2 && number == number2 && value != value2;
        if (!equivocation) revert NoEquivocation();
        _freeze(domain, relay);
        _leave();
    }

    /// @dev Reads and verifies a statement that something was endorsed, toward whichever destination.
    function _openStatement(bytes calldata statement)
        private
        view
        returns (uint256 relay, uint256 domain, uint256 destination, uint256 number, bytes32 value)
    {
        uint256 offset = Calldata.start(statement);
        (uint256 proof, uint256 rest,) = _openEndorsers(offset, offset + statement.length);
        if (rest + 44 != offset + statement.length) revert MalformedRange();
        destination = Calldata.u32(rest);
        number = Calldata.u64(rest + 4);
        value = bytes32(Calldata.word(rest + 12));
        _requireEndorsed(offset, proof, destination, number, value);
        return (Calldata.u32(offset + 4), Calldata.u32(offset), destination, number, value);
    }

    // ------------------------------------------------------------------------------------------------------------ channels

    /// @inheritdoc IHubAdministration
    function openChannel(uint8 transportProtocol) external onThisChain returns (uint32 channel) {
        uint256 application = _senders[msg.sender] & U32;
        if (application == 0) revert NotAllowed(msg.sender);
        if (!Protocols.isTransport(transportProtocol)) revert InvalidHeader();
        channel = ++_lastChannel;
        _channels[channel] = (uint256(transportProtocol) << 32) | application;
        emit ChannelOpened(channel, uint32(application), transportProtocol);
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IHubAdministration
    function route(uint32 domain, uint32 destination, uint32 application) external view returns (uint32) {
        uint256 slot = _routingSlot(destination, application);
        uint32[] storage relays = _domains[domain].relays;
        for (uint256 i = 0; i < relays.length; ++i) {
            uint256 head = _head[_outboxKey(domain, relays[i])];
            uint256 first = (head >> HEAD_FIRST_SLOT) & 0x3ff;
            if (slot >= first && slot < first + ((head >> HEAD_SLOTS) & 0x7ff)) return relays[i];
        }
        revert NotPossible();
    }

    /// @inheritdoc IHubAdministration
    function REGISTRATION() external view returns (uint32) {
        return uint32(_REGISTRATION);
    }

    /// @inheritdoc IHubAdministration
    function DEV() external view returns (bool) {
        return _DEV;
    }

    /// @inheritdoc IHubAdministration
    function QUEUE() external view returns (bool) {
        return _QUEUE;
    }

    /// @inheritdoc IHubAdministration
    function MAX_HANDLER_GAS() external view returns (uint32) {
        return uint32(_MAX_HANDLER_GAS);
    }

    /// @inheritdoc IHubAdministration
    function message(uint32 domain, uint32 relay, uint64 number) external view returns (bytes memory) {
        return _messages[(_outboxKey(domain, relay) << 64) | number];
    }

    /// @inheritdoc IHubAdministration
    function outbox(uint32 domain, uint32 relay)
        external
        view
        returns (uint64 number, uint64 lastNonce, bytes32 value, uint256 flags)
    {
        uint256 key = _outboxKey(domain, relay);
        uint256 head = _head[key];
        return (uint64(head), uint64(head >> HEAD_NONCE), _chain[key], head >> HEAD_FLAGS);
    }

    /// @inheritdoc IHubAdministration
    function applicationOf(uint32 application)
        external
        view
        returns (address account, uint16 protocols, bool paused, uint32 lifeCycle)
    {
        uint256 record = _applications[application];
        return (
            address(uint160(record)),
            uint16(record >> APP_PROTOCOLS),
            record & APP_PAUSED != 0,
            uint32(record >> APP_LIFE_CYCLE)
        );
    }

    /// @inheritdoc IHubAdministration
    function applicationIdOf(address account) external view returns (uint32) {
        return uint32(_senders[account]);
    }

    /// @inheritdoc IHubAdministration
    function relayOf(uint32 relay)
        external
        view
        returns (uint32 domain, uint8 state, uint32 epoch, uint40 overlapUntil, uint32 lifeCycle)
    {
        Relay storage record = _relays[relay];
        return (record.domain, record.state, record.epoch, record.overlapUntil, record.lifeCycle);
    }

    /// @inheritdoc IHubAdministration
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
        )
    {
        Domain storage record = _domains[domain];
        return
            (
                record.lifeCycle,
                record.policyEpoch,
                record.method,
                record.largestDepth,
                record.notaryEpoch,
                record.relays
            );
    }

    /// @inheritdoc IHubAdministration
    function counterOf(uint32 domain) external view returns (uint64) {
        return _counters[domain];
    }

    /// @inheritdoc IHubAdministration
    function governorKey() external view returns (uint256 x, uint8 prefix, uint32 epoch) {
        return (_governorKeyX, _governorKeyPrefix, _governorKeyEpoch);
    }

    /// @inheritdoc IHubAdministration
    function isRegistered(uint8 layer, uint32 protocol) external view returns (bool) {
        if (layer == Protocols.LAYER_TRANSPORT) return Protocols.isTransport(protocol);
        if (layer == Protocols.LAYER_VERIFICATION) return Protocols.isVerification(protocol);
        if (layer == Protocols.LAYER_TRANSACTION) return Protocols.isTransaction(protocol);
        return layer == Protocols.LAYER_APPLICATION && uint160(_applications[protocol]) != 0;
    }
}
