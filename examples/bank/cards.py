"""Issuing cards."""

from bank.errors import CardNotAllowed
from bank.models import Card, Tier, new_id
from bank.outside import Outside
from bank.storage import Storage
from zentra_otel_posthog import card


class Cards:
    def __init__(self, storage: Storage, outside: Outside) -> None:
        self._storage = storage
        self._outside = outside

    @card
    def issue(self, customer_id: str, card_type: str, tier: str) -> Card:
        """Issue a card, or raise ``CardNotAllowed``.

        Bare ``@card``: the event takes ``card_type``, ``tier`` and the customer's id by their names.

        Args:
            customer_id: Whose card it will be.
            card_type: ``virtual`` or ``physical``.
            tier: ``classic``, ``gold`` or ``platinum``.
        """
        customer = self._storage.customer(customer_id)
        if card_type == "physical" and customer.tier is Tier.TIER_1:
            raise CardNotAllowed("a physical card needs KYC tier 2")
        issued = Card(new_id("card"), customer_id, self._outside.new_pan(), card_type, tier)
        self._storage.add_card(issued)
        return issued
