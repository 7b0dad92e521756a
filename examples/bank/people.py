"""Invented customers. Nobody here exists; names are joined at random and every number is made up."""

import random
from dataclasses import dataclass
from typing import Final

_FIRST_NAMES: Final = (
    "Adaeze", "Babatunde", "Chidinma", "Damilola", "Emeka", "Folasade", "Gbenga", "Halima", "Ifeoma", "Jumoke",
    "Kelechi", "Lanre", "Maryam", "Ngozi", "Olumide", "Patience", "Rotimi", "Simisola", "Tunde", "Uchenna",
    "Yetunde", "Zainab",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Abiodun", "Balogun", "Chukwuma", "Danjuma", "Ezenwa", "Fashola", "Garuba", "Hassan", "Igwe", "Jibowu",
    "Kalejaiye", "Lawanson", "Mbakwe", "Nwachukwu", "Okonkwo", "Popoola", "Sanusi", "Tofowomo", "Umeh", "Yusuf",
)  # fmt: skip
_PHONE_PREFIXES: Final = ("0803", "0805", "0706", "0810", "0902")
_CHANNELS: Final = ("organic", "paid_social", "referral", "agent", "app_store")
_REFERRALS: Final = ("double_bonus", "campus", "market_women")
_DEVICES: Final = {"ios": "phone", "android": "phone", "web": "desktop"}


@dataclass(frozen=True, slots=True)
class Person:
    """One customer-to-be.

    Args:
        loyalty: 0 to 1: how likely this person comes back.
    """

    name: str
    email: str
    phone: str
    bvn: str
    documents: tuple[tuple[str, str], ...]
    channel: str
    referral: str | None
    platform: str
    device_type: str
    login_method: str
    loyalty: float


def invent(chance: random.Random, number: int) -> Person:
    """Invent a person.

    Args:
        chance: Where the chances come from.
        number: Makes the person's e-mail address and phone number unlike everybody else's.
    """
    first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
    platform = chance.choices(tuple(_DEVICES), weights=(3, 6, 2))[0]
    channel = chance.choices(_CHANNELS, weights=(4, 3, 3, 2, 2))[0]
    return Person(
        name=f"{first} {last}",
        email=f"{first}.{last}{number}@example.com".lower(),
        phone=f"{chance.choice(_PHONE_PREFIXES)}{chance.randrange(10**4):04d}{number:03d}",
        bvn=f"22{chance.randrange(10**9):09d}",
        documents=_documents(chance),
        channel=channel,
        referral=chance.choice(_REFERRALS) if channel == "referral" else None,
        platform=platform,
        device_type=_DEVICES[platform],
        login_method=chance.choice(("password", "otp") if platform == "web" else ("otp", "biometric", "biometric")),
        loyalty={"organic": 0.65, "referral": 0.75, "agent": 0.6}.get(channel, 0.4) * chance.uniform(0.7, 1.3),
    )


def _documents(chance: random.Random) -> tuple[tuple[str, str], ...]:
    identity = chance.choice(
        (
            ("passport", f"A{chance.randrange(10**8):08d}"),
            ("national_id", f"4{chance.randrange(10**10):010d}"),
            ("drivers_licence", f"KJA{chance.randrange(10**9):09d}"),
        )
    )
    return (identity, ("utility_bill", f"UB-{chance.randrange(10**7):07d}")) if chance.random() < 0.5 else (identity,)
