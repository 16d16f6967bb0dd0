// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// What every hash of the protocol starts with: keccak256("PIEBRIDGE/<NAME>/v1") (formats, section 1).
bytes32 constant TAG_PACKET = keccak256("PIEBRIDGE/PACKET/v1");
bytes32 constant TAG_PACKETS = keccak256("PIEBRIDGE/PACKETS/v1");
bytes32 constant TAG_OUTBOX = keccak256("PIEBRIDGE/OUTBOX/v1");
bytes32 constant TAG_OUTBOX_OPEN_HUB = keccak256("PIEBRIDGE/OUTBOX_OPEN_HUB/v1");
bytes32 constant TAG_RECEIPT = keccak256("PIEBRIDGE/RECEIPT/v1");
bytes32 constant TAG_RECEIPT_HOME = keccak256("PIEBRIDGE/RECEIPT_HOME/v1");
bytes32 constant TAG_VERDICT = keccak256("PIEBRIDGE/VERDICT/v1");
bytes32 constant TAG_REPORT = keccak256("PIEBRIDGE/REPORT/v1");
bytes32 constant TAG_ENDORSE = keccak256("PIEBRIDGE/ENDORSE/v1");
bytes32 constant TAG_ENDORSEMENT_SET = keccak256("PIEBRIDGE/ENDORSEMENT_SET/v1");
bytes32 constant TAG_GOVERNOR_HUB = keccak256("PIEBRIDGE/GOVERNOR_HUB/v1");
