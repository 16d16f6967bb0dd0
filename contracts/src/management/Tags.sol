// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// What every hash of the management chain starts with: keccak256("PIEBRIDGE/<NAME>/v1") (docs/protocol/management.md, section 1).
bytes32 constant TAG_DOMAIN_REQUEST = keccak256("PIEBRIDGE/DOMAIN_REQUEST/v1");
bytes32 constant TAG_DECISION = keccak256("PIEBRIDGE/DECISION/v1");
bytes32 constant TAG_DRAW = keccak256("PIEBRIDGE/DRAW/v1");
bytes32 constant TAG_REPRESENTATIVE = keccak256("PIEBRIDGE/REPRESENTATIVE/v1");
bytes32 constant TAG_NODE_OFFER = keccak256("PIEBRIDGE/NODE_OFFER/v1");
bytes32 constant TAG_GOVERNOR_MANAGEMENT = keccak256("PIEBRIDGE/GOVERNOR_MANAGEMENT/v1");
bytes32 constant TAG_GOVERNOR_SET = keccak256("PIEBRIDGE/GOVERNOR_SET/v1");
bytes32 constant TAG_GOVERNOR_KEY = keccak256("PIEBRIDGE/GOVERNOR_KEY/v1");

// Numbers of the contracts: the target of what is signed for them.
uint32 constant CONTRACT_BOARD = 1;
uint32 constant CONTRACT_MARKET = 2;
uint32 constant CONTRACT_REGISTRY = 3;
uint32 constant CONTRACT_DIRECTORY = 4;
