"""Wrong changes of werp/tokens/ and of the rows it reads: special tokens, bytes, bands, kinds of files."""

from __future__ import annotations

from tests.mutations import Change

KINDS = ("tests/test_tokens.py", "-k", "spelled or spells or unknown_token or merges")
FILES = ("tests/test_tokens.py", "-k", "refinery or force or line or cut or band")
FOLDER = ("tests/test_tokens.py", "-k", "order or entries or exports or rerun")

CHANGES = [
    Change("unigram-keeps-its-names", "werp/tokens/plain.py",
           "[[hidden.get(piece, piece), score]", "[[piece, score]", KINDS),
    Change("vocabulary-keeps-its-names", "werp/tokens/plain.py",
           "{hidden.get(piece, piece): number", "{piece: number", KINDS),
    Change("merges-make-special-tokens", "werp/tokens/plain.py",
           "if not {left, right, left + right.removeprefix(prefix)} & hidden.keys()", "if True", KINDS),
    Change("special-tokens-are-looked-for", "werp/tokens/plain.py",
           "{**token, \"content\": hidden[token[\"content\"]], **_NEVER} if token[\"content\"] in hidden",
           "{**token} if token[\"content\"] in hidden", KINDS),
    Change("unknown-text-ends-documents", "werp/tokens/encode.py",
           "if (document == end).any():", "if False:", KINDS),
    Change("characters-for-bytes", "werp/tokens/encode.py",
           "return len(text) if text.isascii() else len(text.encode())", "return len(text)", KINDS),
    Change("bytes-of-what-the-tokens-spell", "models/data.py",
           "scale[document] = np.diff(self.text_bytes[document : document + 2])[0] / spelled",
           "scale[document] = 1.0", KINDS),
    Change("first-target-s-document", "models/data.py",
           "owners = torch.cat((documents[:, 1:], documents[:, -1:]), dim=1).numpy() - 1",
           "owners = documents.numpy() - 1", KINDS),
    Change("end-token-is-not-written", "werp/tokens/encode.py",
           "ids.write(kind.type(end).tobytes())", "ids.write(kind.type(0).tobytes())", KINDS),
    Change("narrow-at-65536", "werp/tokens/folder.py",
           "vocabulary < 1 << 16", "vocabulary <= 1 << 16", FOLDER),
    Change("offsets-begin-anew-a-file", "werp/tokens/folder.py",
           "ends = total + np.cumsum(lengths, axis=0)", "ends = np.cumsum(lengths, axis=0)", FOLDER),
    Change("band-holds-its-upper-bound", "werp/tokens/sources.py",
           "self.low <= value < self.high", "self.low <= value <= self.high", FILES),
    Change("caches-are-rows", "werp/read/rows.py",
           'if _CACHE.match(path.name) and (path.parent / "state.json").is_file():', "if False:", FILES),
    Change("a-lost-end-is-no-damage", "werp/read/rows.py",
           "if unit.cut and not isinstance(unit, RawUnit):", "if False:", FILES),
    Change("lines-are-counted-from-0", "werp/read/rows.py",
           "    number = 1\n", "    number = 0\n", FILES),
    Change("tokens-are-replaced-unasked", "werp/tokens/command.py",
           "if not dry_run and not force and", "if False and", FILES),
]  # fmt: skip
