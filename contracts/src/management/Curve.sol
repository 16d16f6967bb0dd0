// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Points of secp256k1, as far as the management chain needs them: is it one, and does a revealed share fit its commitments.
/// @dev Sums are made in Jacobian coordinates (X : Y : Z), Z = 0 being the point at infinity; nothing here is secret, so nothing is constant-time.
library Curve {
    uint256 internal constant FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    /// Abscissa of the generator, whose ordinate is even.
    uint256 private constant GENERATOR_X = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;
    /// (FIELD + 1) / 4: raising to it takes the square root, because FIELD = 3 modulo 4.
    uint256 private constant SQUARE_ROOT_EXPONENT = 0x3fffffffffffffffffffffffffffffffffffffffffffffffffffffffbfffff0c;

    struct Jacobian {
        uint256 x;
        uint256 y;
        uint256 z;
    }

    /// @notice Whether (x, y) is a point of the curve other than infinity.
    function isPoint(uint256 x, uint256 y) internal pure returns (bool) {
        if (x >= FIELD || y >= FIELD) return false;
        return mulmod(y, y, FIELD) == addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD);
    }

    /// @notice The ordinate of a compressed point.
    function ordinate(uint8 prefix, uint256 x) internal view returns (bool valid, uint256 y) {
        if (prefix < 2 || prefix > 3 || x >= FIELD) return (false, 0);
        uint256 square = addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD);
        y = _power(square, SQUARE_ROOT_EXPONENT);
        valid = mulmod(y, y, FIELD) == square;
        if (y & 1 != prefix & 1) y = FIELD - y;
    }

    /// @notice The address of a point: what ecrecover returns for its key.
    function addressOf(uint256 x, uint256 y) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(x, y)))));
    }

    /// @notice Whether scalar * G is the sum of factor^j * points[j].
    /// @param points Coordinates x, y of one point after another, each checked with `isPoint`; at least one.
    function isShare(uint256[] memory points, uint256 factor, uint256 scalar) internal view returns (bool) {
        Jacobian memory sum;
        for (uint256 j = points.length; j != 0; j -= 2) {
            sum = _add(_multiply(sum, factor), Jacobian(points[j - 2], points[j - 1], 1));
        }
        if (scalar == 0 || sum.z == 0) return scalar == 0 && sum.z == 0;
        if (scalar >= ORDER) return false;
        uint256 inverse = _power(sum.z, FIELD - 2);
        uint256 inverseSquare = mulmod(inverse, inverse, FIELD);
        address expected =
            addressOf(mulmod(sum.x, inverseSquare, FIELD), mulmod(sum.y, mulmod(inverseSquare, inverse, FIELD), FIELD));
        // ecrecover(0, R, r, s) is the address of (s / r) * R: with R = G and s = scalar * r that of scalar * G.
        bytes32 s = bytes32(mulmod(scalar, GENERATOR_X, ORDER));
        return ecrecover(0, 27, bytes32(GENERATOR_X), s) == expected;
    }

    function _multiply(Jacobian memory point, uint256 factor) private pure returns (Jacobian memory product) {
        for (uint256 bit = 1 << 7; bit != 0; bit >>= 1) {
            product = _double(product);
            if (factor & bit != 0) product = _add(product, point);
        }
    }

    function _double(Jacobian memory p) private pure returns (Jacobian memory) {
        if (p.z == 0) return p;
        // The curve has no point with ordinate 0, so the double of a point is never infinity.
        uint256 a = mulmod(p.x, p.x, FIELD);
        uint256 b = mulmod(p.y, p.y, FIELD);
        uint256 d = mulmod(4, mulmod(p.x, b, FIELD), FIELD);
        uint256 e = mulmod(3, a, FIELD);
        uint256 x = addmod(mulmod(e, e, FIELD), FIELD - mulmod(2, d, FIELD), FIELD);
        uint256 y =
            addmod(mulmod(e, addmod(d, FIELD - x, FIELD), FIELD), FIELD - mulmod(8, mulmod(b, b, FIELD), FIELD), FIELD);
        return Jacobian(x, y, mulmod(2, mulmod(p.y, p.z, FIELD), FIELD));
    }

    function _add(Jacobian memory p, Jacobian memory q) private pure returns (Jacobian memory) {
        if (p.z == 0) return q;
        if (q.z == 0) return p;
        uint256 pz = mulmod(p.z, p.z, FIELD);
        uint256 qz = mulmod(q.z, q.z, FIELD);
        uint256 u = mulmod(p.x, qz, FIELD);
        uint256 s = mulmod(p.y, mulmod(qz, q.z, FIELD), FIELD);
        uint256 h = addmod(mulmod(q.x, pz, FIELD), FIELD - u, FIELD);
        uint256 r = addmod(mulmod(q.y, mulmod(pz, p.z, FIELD), FIELD), FIELD - s, FIELD);
        if (h == 0) return r == 0 ? _double(p) : Jacobian(0, 0, 0);
        uint256 hh = mulmod(h, h, FIELD);
        uint256 hhh = mulmod(hh, h, FIELD);
        u = mulmod(u, hh, FIELD);
        uint256 x = addmod(mulmod(r, r, FIELD), FIELD - addmod(hhh, mulmod(2, u, FIELD), FIELD), FIELD);
        uint256 y = addmod(mulmod(r, addmod(u, FIELD - x, FIELD), FIELD), FIELD - mulmod(s, hhh, FIELD), FIELD);
        return Jacobian(x, y, mulmod(h, mulmod(p.z, q.z, FIELD), FIELD));
    }

    /// @dev base^exponent in the field, by the modexp precompile (EIP-198).
    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        (bool success, bytes memory output) =
            address(5).staticcall(abi.encode(uint256(32), uint256(32), uint256(32), base, exponent, FIELD));
        assert(success);
        return abi.decode(output, (uint256));
    }
}
