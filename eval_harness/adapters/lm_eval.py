"""The other way round: our checkpoints as a model of EleutherAI's lm-evaluation-harness.

    python -m eval_harness.adapters.lm_eval --model blu-werp --model_args path=CHECKPOINT --tasks arc_easy

takes the harness's own command line and adds the model `blu-werp` to it. Needs the package `lm-eval`.
"""

from __future__ import annotations

from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from eval_harness.adapters import load_model
from eval_harness.errors import EvalError
from eval_harness.scorer import Ask, Scorer


@register_model("blu-werp")
class BluWerpLM(LM):  # type: ignore[misc]
    """Answers the harness's log-likelihood requests with the shared-prefix scorer.

    path: a checkpoint of models.train or a Hugging Face folder. batch_size and the like are accepted and
    unused: batches are made of tokens, not of requests.
    """

    def __init__(self, path: str, device: str = "auto", dtype: str = "auto", **_: Any) -> None:
        super().__init__()
        self.model = load_model(path, device or "auto", dtype)
        self.scorer = Scorer(self.model)

    @property
    def tokenizer_name(self) -> str:
        """For the harness's cache of requests."""
        return self.model.name

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-probability and greediness of each (context, continuation).

        Requests of one document are one ask, so that its context is run once.
        """
        pairs = [request.args for request in requests]
        groups: dict[str, list[int]] = {}
        for i, (context, _) in enumerate(pairs):
            groups.setdefault(context, []).append(i)
        asks = [
            Ask((context,) * len(places), tuple(pairs[i][1] for i in places))
            for context, places in groups.items()
        ]
        found: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for places, answer in zip(groups.values(), self.scorer.score(asks), strict=True):
            for i, log_p, greedy in zip(places, answer.log_p, answer.greedy, strict=True):
                found[i] = (log_p, greedy)
        return found

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of each whole text after the start or end-of-text token, in disjoint windows."""
        first = self.model.start[-1] if self.model.start else self.model.end
        if first is None:
            raise EvalError("rolling log-likelihood needs a start token or <|endoftext|> to start from")
        totals = []
        for request in requests:
            tokens = self.model.encode([request.args[0]])[0]
            windows = get_rolling_token_windows(tokens, first, self.model.window, context_len=1)
            pieces = [make_disjoint_window(window) for window in windows]
            totals.append(sum(answer.log_p[0] for answer in self.scorer.score_tokens(pieces)))
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Not for this evaluator: it scores, it does not generate."""
        raise EvalError("blu-werp models score continuations; choose tasks of output type multiple_choice")


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
