"""What becomes of a value that a rule has caught: dropped, masked or replaced by a pseudonym."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from zentra_otel_posthog.sanitize.keys import profile
from zentra_otel_posthog.sanitize.normalize import fold
from zentra_otel_posthog.sanitize.pseudonyms import Pseudonyms
from zentra_otel_posthog.sanitize.vocabulary import words

Action = Literal["drop", "mask", "pseudonym"]

ALWAYS_DROPPED: Final = words(
    "pan cvv pin otp track card_expiry password secret session credential jwt api_key private_key "
    "policy too_long too_deep too_large unsupported_type internal_error"
)
"""Rules whose values no policy lets out in any form: card data, secrets, and what could not be looked at."""

MASKABLE: Final = words("bank_account iban phone routing_number sort_code tin")
"""Rules for numbers of which the last four digits identify nobody."""

_SHOWN: Final = 4
_MASK: Final = "****"
_MASKED: Final = re.compile(r"\*{4}[0-9A-Z]{4}")
_SEPARATED: Final = re.compile(r"[\s._/()+-]")
# Of shorter ones the last four would be half or more.
_NUMBER: Final = re.compile(r"[0-9A-Z]{8,34}")
_LAST_FOUR: Final = re.compile(r"[0-9]{4}")


_actions: Mapping[str, Action] = {}
_pseudonyms: Pseudonyms | None = None


def use(actions: Mapping[str, Action], pseudonyms: Pseudonyms | None) -> None:
    """Take over what the settings say.

    Args:
        actions: By rule; a rule without one drops.
        pseudonyms: None: there is no key, and nothing becomes a pseudonym.
    """
    global _actions, _pseudonyms
    _actions, _pseudonyms = actions, pseudonyms


def act(rule: str, name: str, text: str, *, declared: bool) -> str | None:
    """Return what may leave in place of a text that a rule has caught, or None.

    Args:
        rule: The detectors' rule.
        name: The property's name.
        text: Its whole value.
        declared: The tracking plan names the property. Of one that nobody has reviewed nothing is shown, not even
            the last four.
    """
    if rule in ALWAYS_DROPPED:
        return None
    match _actions.get(rule):
        case "pseudonym":
            return pseudonym(name, text)
        case "mask" if declared:
            return last_four(name, text)
        case _:
            return None


def pseudonym(name: str, text: str) -> str | None:
    """Return a text's pseudonym for a property, or None where there is no key."""
    return None if _pseudonyms is None else _pseudonyms.of(name, text)


def last_four(name: str, text: str) -> str | None:
    """Return ``****`` and the last four characters of a number, or None where it is none.

    Args:
        name: The property's name. The last four of a PIN are the PIN, so a name that speaks of one gets None.
        text: A number of 8 to 34 digits and capitals, separators between them; four digits; or what this returned.
    """
    bare = _SEPARATED.sub("", fold(text)).upper()
    if _MASKED.fullmatch(bare):
        return bare
    if profile(name).refused in {"cvv", "pin", "otp", "password", "secret"}:
        return None
    if _LAST_FOUR.fullmatch(bare) or (_NUMBER.fullmatch(bare) and sum(map(str.isdigit, bare)) >= 2 * _SHOWN):
        return _MASK + bare[-_SHOWN:]
    return None
