"""Rule `pii.v1`: e-mail and public IP addresses are masked, and counted.

Source: FineWeb (arXiv 2406.17557, section 3.8), as datatrove 0.10's `formatters/pii.py` masks them: the
stand-in addresses are its own, taken in turn. Two differences: there the turn goes on from page to page, so
that a mask depends on what was read before, and here it begins anew with every page; and there the `99.1.1.1`
of `999.1.1.1` is an address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from werp.edits import Span
from werp.signals.base import Check, EditRule
from werp.signals.batch import TextBatch

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
# RFC 5322's dot-atom before the @, and a domain of two labels or more after it.
_EMAIL = re.compile(rf"\b{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
_IP = re.compile(rf"(?<![0-9])(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9])")
_EMAIL_MASKS = ("email@example.com", "firstname.lastname@example.org")
_IP_MASKS = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip


class Pii(EditRule):
    """Signals: pii.emails, pii.ip_addresses (int64): how many were masked. Nothing is dropped."""

    rule: Literal["pii.v1"] = "pii.v1"
    emails: bool = Field(True, description="mask e-mail addresses")
    ip_addresses: bool = Field(True, description="mask public IPv4 addresses")

    def edit_parameters(self) -> dict[str, Any]:
        """What is masked."""
        return {"emails": self.emails, "ip_addresses": self.ip_addresses}

    def edits_of(self, text: str) -> list[Span]:
        """See `EditRule.edits_of`."""
        return sorted(self._masks(text))

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

    def _masks(self, text: str) -> Iterator[Span]:
        taken: list[Span] = []
        if self.emails and "@" in text:
            for turn, match in enumerate(_EMAIL.finditer(text)):
                mask = _EMAIL_MASKS[turn % len(_EMAIL_MASKS)]
                taken.append(Span(*match.span(), "pii.v1.emails", mask))
        yield from taken
        turn = 0
        for match in _IP.finditer(text) if self.ip_addresses else ():
            inside = any(span.start < match.end() and match.start() < span.end for span in taken)
            if not inside and _is_public(match[0]):
                yield Span(*match.span(), "pii.v1.ip_addresses", _IP_MASKS[turn % len(_IP_MASKS)])
                turn += 1


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:  # a leading zero
        return False
