"""Secrets that show by their own form: vendors' keys, signed tokens, private keys, credentials in headers."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from zentra_otel_posthog.sanitize.deferred import deferred

_SHORTEST_KEY: Final = 16

# Each holds a literal of its vendor, so a match needs no guess at entropy.
_VENDORS: Final = (
    # Stripe, Paystack, Korapay, Squad, OpenAI, Anthropic and whoever copied the scheme, in either order.
    r"(?:sk|pk|rk|sec|pub|secret|public|private)[_-](?:live|test|prod|production|sandbox|proj|ant|or|svcacct|admin|uat)[_-][\w-]{10,256}",
    r"(?:live|test|prod|production|sandbox|uat)[_-](?:sk|pk|rk|sec|secret|public|private)_\w{10,256}",
    r"sk-[A-Za-z0-9_-]{20,256}|[sp]k_[0-9A-Za-z]{32,128}",
    r"whsec_[\w+/=-]{16,256}",
    # Nigerian payment companies: Flutterwave, Monnify, Interswitch, SeerBit, OPay.
    r"FLW(?:PUB|SEC)K(?:_TEST|_LIVE|_PROD)?-?[\w-]{10,128}",
    r"MK_(?:PROD|TEST|LIVE)_\w{8,64}",
    r"IKI[A-F][0-9A-F]{28,64}",
    r"SB(?:TEST|LIVE)?(?:PUB|SEC)K_\w{12,64}",
    r"OPAY(?:PUB|PRV|SEC)\w{12,64}",
    r"atsk_[0-9a-f]{32,128}",
    # PostHog: project, personal, feature flag, OAuth access and refresh keys.
    r"ph[a-z]_[A-Za-z0-9]{20,128}",
    r"gh[pousr]_\w{30,255}|github_pat_\w{20,255}",
    r"gl(?:pat|ptt|dt|rt|oas|cbt|soat|ft|imt|agent)-[\w-]{16,128}",
    r"npm_\w{30,64}|rubygems_[0-9a-f]{40,64}|AT[AC]TT3[\w=-]{20,512}|pypi-[\w-]{16,512}|dckr_[a-z]{2,4}_[\w-]{20,64}",
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,512}|xapp-[0-9]-[\w-]{10,256}",
    r"AIza[\w-]{30,45}|ya29\.[\w-]{20,512}|GOCSPX-[\w-]{20,64}|1//0[\w-]{20,256}",
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    r"SG\.[\w-]{16,64}\.[\w-]{16,128}|xkeysib-[0-9a-f]{32,80}|key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}",
    r"(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])|[0-9]{8,10}:AA[\w-]{30,64}",
    r"sq0[a-z]{3}-[\w-]{20,64}|EAAA[\w-]{50,128}|EAA[A-Za-z0-9]{60,512}",
    r"shp[a-z]{2}_[0-9a-fA-F]{32}|rzp_(?:live|test)_\w{10,64}",
    r"hf_[A-Za-z0-9]{30,64}|gsk_[A-Za-z0-9]{40,64}|r8_[A-Za-z0-9]{30,64}|(?:pplx|xai)-[A-Za-z0-9]{40,128}",
    r"do[opr]_v1_[0-9a-f]{40,80}|dapi[0-9a-f]{32}|lin_(?:api|oauth)_\w{30,64}|ntn_\w{40,64}|secret_[A-Za-z0-9]{40,64}",
    r"sntry[su]_[\w=+/]{20,512}|NRAK-[A-Z0-9]{20,40}|gls?[ac]_[\w=+/]{20,256}|hv[sbr]\.[\w-]{20,256}",
    r"access-(?:sandbox|development|production)-[0-9a-f-]{36}|sb[pt]_[0-9a-f]{36,64}|sb_secret_[\w-]{20,64}",
    r"PMAK-[0-9a-f-]{40,80}|dp\.[a-z]{2}\.[A-Za-z0-9]{40,64}|pul-[0-9a-f]{40}|figd_[\w-]{30,64}",
    r"AAAA[\w-]{7}:[\w-]{100,256}|gAAAAA[\w-]{50,4096}={0,2}|AGE-SECRET-KEY-1[A-Z0-9]{50,64}|[xyz]prv[1-9A-Za-z]{100,120}",
    r"[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}",  # Azure, Discord
    r"hooks\.slack\.com/services/[\w/]{20,64}|discord(?:app)?\.com/api/webhooks/[0-9]{15,20}/[\w-]{40,80}",
)
_API_KEY: Final = deferred(r"(?<![A-Za-z0-9])(?:" + "|".join(_VENDORS) + ")")
_SIGNED: Final = deferred(r"(?<![A-Za-z0-9])ey[JK][\w-]{8,4096}\.[\w-]{4,8192}(?:\.[\w-]{0,8192}){0,3}")
_PRIVATE_KEY: Final = deferred(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-[0-9]")
# What password hashing functions return (crypt(5), PHC string format): good for guessing at leisure.
_PASSWORD_HASH: Final = deferred(
    r"\$(?:2[abxy]?|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]{0,10}|[1567y])\$[^\s$]{2,128}\$?\S{8}"
)
_PASSWORD_SAID: Final = deferred(
    r"(?<![A-Za-z0-9])(?:password|passwd|pwd|passphrase|passcode)(?: is| was)?[ :=]{1,3}['\"]?"
    r"(?=\S{0,128}[0-9])(?=\S{0,128}[a-z])(?:(?<=['\"])[^\s'\"]{6,128}['\"]|(?=(?-i:\S{0,128}[A-Z!@#$%^&*]))\S{6,128})",
    re.IGNORECASE,
)
_BEARER: Final = deferred(
    r"(?<![A-Za-z0-9])(?:bearer|token|apikey|splunk|hawk|digest|negotiate|ntlm|oauth)[ :=]{1,3}"
    r"['\"]?(?=(?-i:[^\s'\"]{0,256}[0-9A-Z]))(?:(?=[^\s'\"]{0,256}[0-9])[\w.~+/=-]{12,4096}|[\w.~+/=-]{20,4096})",
    re.IGNORECASE,
)
_BASIC: Final = deferred(r"(?<![A-Za-z0-9])basic[ :=]{1,3}([A-Za-z0-9+/_-]{4,2048}={0,2})", re.IGNORECASE)


def _is_basic(encoded: str) -> bool:
    """Whether `encoded` is `user:password` (RFC 7617)."""
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        user, colon, _ = raw.decode("utf-8").partition(":")
    except ValueError:
        return False
    return bool(colon) and user.isprintable()


def _has_api_key(text: str) -> bool:
    return len(text) >= _SHORTEST_KEY and _API_KEY.search(text) is not None


def _has_signed(text: str) -> bool:
    return "ey" in text and _SIGNED.search(text) is not None


def _has_private_key(text: str) -> bool:
    return ("---" in text or "PuTTY" in text) and _PRIVATE_KEY.search(text) is not None


def _has_password_hash(text: str) -> bool:
    return text.count("$") > 1 and _PASSWORD_HASH.search(text) is not None


def _has_said_password(text: str) -> bool:
    lower = text.lower()
    return ("pass" in lower or "pwd" in lower) and _PASSWORD_SAID.search(text) is not None


def _has_header(text: str) -> bool:
    if " " not in text and ":" not in text and "=" not in text:
        return False
    return _BEARER.search(text) is not None or any(_is_basic(match[1]) for match in _BASIC.finditer(text))


_CHECKS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("api_key", _has_api_key),
    ("jwt", _has_signed),
    ("private_key", _has_private_key),
    ("password", _has_password_hash),
    ("password", _has_said_password),
    ("credential", _has_header),
)


def find_credential(text: str) -> str | None:
    """Return the rule under which folded `text` holds a secret of a known form, or None."""
    for rule, is_in in _CHECKS:
        if is_in(text):
            return rule
    return None
