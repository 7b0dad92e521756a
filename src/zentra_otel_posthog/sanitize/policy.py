"""What a tenant's policy decides, beyond what the detectors do by themselves: ``[sanitize]`` in the file."""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

import msgspec

from zentra_otel_posthog.sanitize import actions, detectors, keys
from zentra_otel_posthog.sanitize.actions import ALWAYS_DROPPED, MASKABLE, Action
from zentra_otel_posthog.sanitize.pseudonyms import Pseudonyms

_SHORTEST_KEY: Final = 2  # letters of a refused key; a single one would refuse half of all properties


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may leave besides, and what may not.

    Args:
        refused_keys: Names of undeclared properties that never leave, at any depth, by whole words in any spelling
            (``staff_no`` is also ``staffNo`` and ``manager-staff-no``).
        allowed_values: Texts that leave although a detector would catch them, as a support address. Compared whole.
        actions: By rule, what becomes of a caught text: ``drop`` (the default), ``pseudonym`` (needs
            ``pseudonym_key``), or ``mask`` (the last four, of declared properties only).
        undeclared: ``detect``: undeclared properties leave where no detector finds anything; ``drop``: none leaves.
    """

    refused_keys: tuple[str, ...] = ()
    allowed_values: tuple[str, ...] = ()
    actions: dict[str, str] = {}
    undeclared: Literal["detect", "drop"] = "detect"

    def __post_init__(self) -> None:
        """Refuse what no policy may decide.

        Raises:
            ValueError: A key says nothing, a value is a secret or card data, or a rule takes no such action.
        """
        for key in self.refused_keys:
            if sum(map(str.isalpha, "".join(keys.words_of(key)))) < _SHORTEST_KEY:
                raise ValueError(f"refused_keys has {key!r}: a key is words of letters, as in 'staff_no'")
        for position, value in enumerate(self.allowed_values, start=1):
            if (rule := detectors.find(value)) in ALWAYS_DROPPED:
                raise ValueError(
                    f"allowed_values: the value at place {position} is caught as {rule}, which never leaves"
                )
        for rule, action in self.actions.items():
            _check_action(rule, action)


def _check_action(rule: str, action: str) -> None:
    deciding = sorted(detectors.RULES - ALWAYS_DROPPED)
    if action not in get_args(Action):
        raise ValueError(f"actions has {rule} = {action!r}: choose one of {', '.join(get_args(Action))}")
    if rule in ALWAYS_DROPPED and action != "drop":
        raise ValueError(f"actions has {rule} = {action!r}: it is always dropped")
    if rule not in detectors.RULES:
        raise ValueError(f"actions has an unknown rule {rule!r}; there are: {', '.join(deciding)}")
    if action == "mask" and rule not in MASKABLE:
        raise ValueError(f"actions has {rule} = 'mask': only {', '.join(sorted(MASKABLE))} can be masked")


_policy = Policy()


def use(policy: Policy, pseudonym_key: str | None) -> None:
    """Make a policy the process's own.

    Args:
        policy: What the settings say.
        pseudonym_key: The secret for pseudonyms, None for none.
    """
    global _policy  # noqa: PLW0603  one policy a process
    _policy = policy
    keys.refuse(policy.refused_keys)
    detectors.allow(policy.allowed_values)
    actions.use(cast("dict[str, Action]", policy.actions), None if pseudonym_key is None else Pseudonyms(pseudonym_key))


def takes_undeclared() -> bool:
    """Return whether undeclared properties may leave at all."""
    return _policy.undeclared == "detect"
