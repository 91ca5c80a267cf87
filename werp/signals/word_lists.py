"""The short lists of `words.v1`: abbreviations, contractions without apostrophe, units of measure."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from werp.signals.words import hash_words

_SLOTS = 2048  # of the hash table of listed forms: a power of two, over five times their number

_ABBREVIATIONS = """
Adm. Apr. Ariz. Ark. Aug. Bros. Calif. Co. Colo. Conn. Corp. Dec. Del. Dr. Feb. Fla. Ga. Gen. Gov. Ill. Inc.
Ind. Jan. Jr. Jul. Jun. Kan. Ky. La. Ltd. Mar. Mass. Md. Messrs. Mich. Minn. Miss. Mo. Mont. Mr. Mrs. Ms. Mt.
Neb. Nev. Nov. Oct. Okla. Ore. Pa. Ph.D. Prof. Rep. Rev. Sen. Sep. Sept. St. Tenn. Va. Wash. Wis. co. vs. v.s.
a.m. p.m. E.g. e.g. I.e. i.e. and/or w/o a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w.
x. y. z.
"""
# Forms whose reading without apostrophe is another word (ill, its, well, were, shell, lets) are left out.
_CONTRACTIONS = """
can|not gon|na got|ta ai|nt are|nt ca|nt could|nt dare|nt did|nt does|nt do|nt had|nt has|nt have|nt is|nt
might|nt must|nt need|nt ought|nt sha|nt should|nt was|nt were|nt wo|nt would|nt i|m i|ve i|d he|s he|d she|s
we|d we|ve you|re you|ve you|ll you|d they|re they|ve they|ll they|d it|ll it|d that|s that|ll what|s who|s
who|ll how|s there|s where|s when|s why|s could|ve should|ve would|ve might|ve must|ve
"""
_UNITS = """
km km² km³ m m² m³ dm cm cm² cm³ mm mm² mm³ µm nm ha yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar
mb MB kb KB gb GB tb TB T G M K %
"""


def _forms() -> dict[str, int]:
    """Listed forms and after how many characters each parts; 0 is kept whole."""
    forms = dict.fromkeys(_ABBREVIATIONS.split(), 0)
    for contraction in _CONTRACTIONS.split():
        base, _, ending = contraction.partition("|")
        forms[base + ending] = forms[base.capitalize() + ending] = len(base)
    return forms


def _packed(unit: str) -> int:
    """At most four characters in one integer, 16 bits each."""
    value = 0
    for character in unit:
        value = (value << 16) | ord(character)
    return value


@cache
def word_lists() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """What `split_words` looks up: listed forms as a hash table (keys, where each parts), packed units."""
    forms = _forms()
    keys, parts = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.int8)
    for key, part in zip(hash_words(list(forms)).tolist(), forms.values(), strict=True):
        slot = key % _SLOTS
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], parts[slot] = key, part
    return keys, parts, np.array(sorted(map(_packed, _UNITS.split())), np.int64)
