"""Proposals in strongSwan's notation (swanctl.conf(5), proposals): what they are made of and what they lack.

Only algorithms that the image's strongSwan has and that RFC 8221 and RFC 8247 do not advise against are known.
"""

from __future__ import annotations

import re

_AEAD = re.compile(r"(aes(128|192|256)(gcm16|ccm16)|chacha20poly1305)")
_CIPHER = re.compile(r"aes(128|192|256)(ctr)?")
_INTEGRITY = re.compile(r"sha(256|384|512)")
_PRF = re.compile(r"prfsha(256|384|512)")
_GROUP = re.compile(r"(modp(2048|3072|4096|6144|8192)|modp2048s256|ecp(256|384|521)(bp)?|curve25519|x25519|curve448)")
_ESN = re.compile(r"(no)?esn")


def faults(proposal: str, *, ike: bool) -> list[str]:
    """What is wrong with a proposal for IKE, or for ESP; nothing where it can be used."""
    words = proposal.split("-")
    kinds = (_AEAD, _CIPHER, _INTEGRITY, _PRF, _GROUP) + (() if ike else (_ESN,))
    unknown = [word for word in words if not any(kind.fullmatch(word) for kind in kinds)]
    if unknown:
        return [f"`{word}` is no algorithm that gateways have and that is safe to use" for word in unknown]

    def has(kind: re.Pattern[str]) -> bool:
        return any(kind.fullmatch(word) for word in words)

    lacking = []
    if not has(_AEAD) and not has(_CIPHER):
        lacking.append("a cipher")
    if has(_CIPHER) and not has(_INTEGRITY):
        lacking.append("an integrity algorithm beside the cipher")
    if ike and has(_AEAD) and not has(_PRF):
        lacking.append("a PRF beside the AEAD cipher")
    if ike and not has(_GROUP):
        lacking.append("a key exchange group")
    return [f"it lacks {', '.join(lacking)}"] if lacking else []
