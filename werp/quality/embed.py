"""Embedders of texts for the BETR ranking: LSA by default, or a sentence-embedding model in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from werp.errors import WerpError
from werp.quality.spec import Lsa, Sentence, filled_in

Vectors = npt.NDArray[np.float32]


def embed(
    options: Lsa | Sentence, documents: Sequence[str], targets: Sequence[str], seed: int
) -> tuple[Vectors, Vectors, str]:
    """Unit vectors of documents and targets, [rows, dim] float32 each, and the embedder's name."""
    if isinstance(options, Sentence):
        return _sentence(options, documents, targets)
    return _lsa(options, documents, targets, seed)


def _lsa(
    options: Lsa, documents: Sequence[str], targets: Sequence[str], seed: int
) -> tuple[Vectors, Vectors, str]:
    import sklearn  # noqa: PLC0415
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    everything = [*documents, *targets]
    tfidf = TfidfVectorizer(
        sublinear_tf=True, min_df=options.min_df, max_features=options.max_features, stop_words="english"
    )
    try:
        sparse = tfidf.fit_transform(everything)
    except ValueError as error:  # no word is left
        raise WerpError(
            f"betr.embedder: {error}; {len(everything):,} texts have too few words in common for min_df"
            f" {options.min_df}: make it smaller, or the pool larger"
        ) from error
    dim = min(options.dim, min(sparse.shape) - 1)
    vectors = TruncatedSVD(dim, random_state=seed).fit_transform(sparse)
    unit = _unit(np.asarray(vectors, np.float32))
    name = f"lsa: TF-IDF and truncated SVD to {dim} dimensions, scikit-learn {sklearn.__version__}"
    return unit[: len(documents)], unit[len(documents) :], name


def _sentence(
    options: Sentence, documents: Sequence[str], targets: Sequence[str]
) -> tuple[Vectors, Vectors, str]:
    folder = Path(filled_in(options.path))
    try:
        from sentence_transformers import SentenceTransformer, __version__  # noqa: PLC0415
    except ImportError as error:
        raise WerpError("embedder `sentence` needs sentence-transformers: pip install '.[embed]'") from error
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WerpError(f"embedder.path {folder}: no model that can be loaded: {error}") from error
    if options.max_tokens:
        model.max_seq_length = options.max_tokens
    parts = [
        _unit(model.encode(list(texts), batch_size=options.batch, convert_to_numpy=True))
        for texts in (documents, targets)
    ]
    name = (
        f"sentence: {folder.name if folder.name != 'model' else folder.parent.name}, {model.max_seq_length}"
        f" tokens, sentence-transformers {__version__}"
    )
    return parts[0], parts[1], name


def _unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays, its cosine with everything is 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length), np.float32)
