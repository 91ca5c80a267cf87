"""XXH3, 64 bits, seed 0, natively: the hash of a shingle's bytes without a Python object for each shingle.

Source: the XXH3 specification (Yann Collet, github.com/Cyan4973/xxHash, doc/xxhash_spec.md). Equal to
`xxhash.xxh3_64_intdigest` for every length, which the tests hold it to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from werp.signals.words import native

_SECRET_HEX = (
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_BYTES = bytes.fromhex(_SECRET_HEX)
#: The 64-bit words of the default secret at every byte offset: word k starts at byte k.
_SECRET = tuple(np.uint64(int.from_bytes(_BYTES[k : k + 8], "little")) for k in range(len(_BYTES) - 7))
SECRET = np.array(_SECRET, np.uint64)

_P32_1, _P32_2, _P32_3 = np.uint64(0x9E3779B1), np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)
_P64_1, _P64_2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3, _P64_4 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63)
_P64_5 = np.uint64(0x27D4EB2F165667C5)
_MX1, _MX2 = np.uint64(0x165667919E3779F9), np.uint64(0x9FB21C651E98DF25)
_LOW = np.uint64(0xFFFFFFFF)
_STRIPE, _BLOCK = 64, 1024  # bytes
_U = np.uint64


@intrinsic  # type: ignore[untyped-decorator]
def _folded(_context: Any, a: Any, b: Any) -> Any:
    """The two halves of the 128-bit product of a and b, XORed: one machine multiplication."""
    signature = types.uint64(types.uint64, types.uint64)

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        low = builder.trunc(product, ir.IntType(64))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(low, high)

    return signature, code


def _loader(bits: int) -> Any:
    """An intrinsic that loads an unsigned little-endian number from an address, however aligned."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(_context: Any, address: Any) -> Any:
        def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.zext(builder.load(place, align=1), ir.IntType(64))

        return types.uint64(types.intp), code

    return load


_r8, _r32, _r64 = _loader(8), _loader(32), _loader(64)


@native
def _swapped(h: Any) -> Any:
    h = ((h & _U(0x00FF00FF00FF00FF)) << _U(8)) | ((h >> _U(8)) & _U(0x00FF00FF00FF00FF))
    h = ((h & _U(0x0000FFFF0000FFFF)) << _U(16)) | ((h >> _U(16)) & _U(0x0000FFFF0000FFFF))
    return (h << _U(32)) | (h >> _U(32))


@native
def _avalanche(h: Any) -> Any:
    h = (h ^ (h >> _U(37))) * _MX1
    return h ^ (h >> _U(32))


@native
def _avalanche64(h: Any) -> Any:
    h = (h ^ (h >> _U(33))) * _P64_2
    h = (h ^ (h >> _U(29))) * _P64_3
    return h ^ (h >> _U(32))


@native
def _mix16(at: int, k: int) -> Any:
    return _folded(_r64(at) ^ SECRET[k], _r64(at + 8) ^ SECRET[k + 8])


@native
def _short(at: int, n: int) -> Any:
    """At most 16 bytes."""
    if n > 8:
        low = _r64(at) ^ SECRET[24] ^ SECRET[32]
        high = _r64(at + n - 8) ^ SECRET[40] ^ SECRET[48]
        return _avalanche(_U(n) + _swapped(low) + high + _folded(low, high))
    if n > 3:
        h = (_r32(at + n - 4) + (_r32(at) << _U(32))) ^ SECRET[8] ^ SECRET[16]
        h ^= ((h << _U(49)) | (h >> _U(15))) ^ ((h << _U(24)) | (h >> _U(40)))
        h *= _MX2
        h ^= (h >> _U(35)) + _U(n)
        h *= _MX2
        return h ^ (h >> _U(28))
    if n > 0:
        h = _r8(at) << _U(16) | _r8(at + n // 2) << _U(24) | _r8(at + n - 1) | _U(n) << _U(8)
        return _avalanche64(h ^ ((SECRET[0] ^ SECRET[4]) & _LOW))
    return _avalanche64(SECRET[56] ^ SECRET[64])


@native
def _middle(at: int, n: int) -> Any:
    """17 to 240 bytes."""
    h = _U(n) * _P64_1
    if n <= 128:
        for k in range((n - 1) // 32, -1, -1):
            h += _mix16(at + 16 * k, 32 * k)
            h += _mix16(at + n - 16 * (k + 1), 32 * k + 16)
        return _avalanche(h)
    for k in range(8):
        h += _mix16(at + 16 * k, 16 * k)
    h = _avalanche(h)
    for k in range(8, n // 16):
        h += _mix16(at + 16 * k, 16 * (k - 8) + 3)
    return _avalanche(h + _mix16(at + n - 16, 136 - 17))


@native
def _accumulate(acc: Any, at: int, k: int) -> None:
    for lane in range(8):
        value = _r64(at + 8 * lane)
        key = value ^ SECRET[k + 8 * lane]
        acc[lane ^ 1] += value
        acc[lane] += (key & _LOW) * (key >> _U(32))


@native
def _long(at: int, n: int) -> Any:
    """More than 240 bytes."""
    acc = np.array([_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1], np.uint64)
    blocks = (n - 1) // _BLOCK
    for block in range(blocks):
        for stripe in range(16):
            _accumulate(acc, at + block * _BLOCK + stripe * _STRIPE, 8 * stripe)
        for lane in range(8):
            mixed = acc[lane] ^ (acc[lane] >> _U(47)) ^ SECRET[128 + 8 * lane]
            acc[lane] = mixed * _P32_1
    for stripe in range((n - 1 - blocks * _BLOCK) // _STRIPE):
        _accumulate(acc, at + blocks * _BLOCK + stripe * _STRIPE, 8 * stripe)
    _accumulate(acc, at + n - _STRIPE, 192 - 64 - 7)
    h = _U(n) * _P64_1
    for k in range(4):
        h += _folded(acc[2 * k] ^ SECRET[11 + 16 * k], acc[2 * k + 1] ^ SECRET[19 + 16 * k])
    return _avalanche(h)


@native
def xxh3_64(at: int, n: int) -> Any:
    """Hash of the n bytes at an address, as uint64.

    An address and no array: a call would count the array's references up and down, atomically, in more time
    than the hash takes. Whoever calls keeps the array alive.
    """
    if 16 < n <= 32:  # most shingles of five words
        h = _U(n) * _P64_1
        return _avalanche(h + _mix16(at, 0) + _mix16(at + n - 16, 16))
    if n <= 16:
        return _short(at, n)
    if n <= 240:
        return _middle(at, n)
    return _long(at, n)
