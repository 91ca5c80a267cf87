"""Rule `pii.v1`: e-mail and public IPv4 addresses are masked, and counted.

Source: FineWeb (arXiv 2406.17557, section 3.8), as datatrove 0.10's `formatters/pii.py` masks them: the
stand-in addresses are its own, taken in turn. One difference stays: there the turn goes on from page to page,
so that a mask depends on what was read before, and here it begins anew with every page.
"""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from werp.edits import Span
from werp.signals.addresses import Matching, email_places, ip_places
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch

_EMAIL_MASKS = ("email@example.com", "firstname.lastname@example.org")
_IP_MASKS = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip


class Pii(EditRule):
    """Signals: pii.emails, pii.ip_addresses (int64): how many were masked. Nothing is dropped."""

    rule: Literal["pii.v1"] = "pii.v1"
    emails: bool = Field(True, description="mask e-mail addresses")
    ip_addresses: bool = Field(True, description="mask public IPv4 addresses")

    matching: Matching = Field(
        "context",
        description="what counts as an address: by what stands around it, or by datatrove's patterns",
    )

    def edit_parameters(self) -> dict[str, Any]:
        """What is masked."""
        return {"emails": self.emails, "ip_addresses": self.ip_addresses, "matching": self.matching}

    def edits_of(self, text: str) -> list[Span]:
        """See `EditRule.edits_of`."""
        # What is masked as an e-mail address is not looked at again, whatever numbers it holds.
        apart = list(email_places(text, self.matching)) if self.emails else []
        ips = ip_places(text, apart, self.matching) if self.ip_addresses else ()
        spans = [
            Span(*place, "pii.v1.emails", _EMAIL_MASKS[turn % len(_EMAIL_MASKS)])
            for turn, place in enumerate(apart)
        ]
        spans += [
            Span(*place, "pii.v1.ip_addresses", _IP_MASKS[turn % len(_IP_MASKS)])
            for turn, place in enumerate(ips)
        ]
        return sorted(spans)

    def measure_edits(
        self, before: TextBatch, spans: list[list[Span]], after: TextBatch
    ) -> dict[str, pa.Array]:
        """See `EditRule.measure_edits`."""
        return {
            f"pii.{key}": pa.array([sum(s.rule == f"pii.v1.{key}" for s in own) for own in spans], pa.int64())
            for key in ("emails", "ip_addresses")
        }

    def checks(self) -> list[Check]:
        """None: masking drops nothing."""
        return []
