"""Linear self-attention of Zhang, Frei and Bartlett (arXiv 2306.09927), the layer whose training is
understood.

A prompt is a matrix E: a column for each example, (x_i; y_i), and a last one (x_query; 0). The layer adds to
it

    f(E) = E + W_PV E (E^T W_KQ E) / N

with N the number of labelled columns, of the prompt at hand: a prompt of another length divides by its own.
Its prediction is the last entry of the last column.

Shape suffixes: B prompts, D dimensions of x, R = D + 1 rows of a prompt, N examples, C = N + 1 columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearSelfAttention(nn.Module):
    """One layer without softmax; all of W_PV and W_KQ (R, R) is trained.

    dimensions: D. sigma: scale of the initial weights. theta: Theta (D, D) of the paper's assumption, whose
    product with its transpose has Frobenius norm 1; None is the identity over D^(1/4), as isotropic as it
    gets.
    """

    def __init__(self, dimensions: int, sigma: float, theta: Tensor | None = None) -> None:
        super().__init__()
        D = dimensions
        theta_DD = torch.eye(D) / D**0.25 if theta is None else theta
        key_query_RR, value_RR = torch.zeros(D + 1, D + 1), torch.zeros(D + 1, D + 1)
        key_query_RR[:D, :D] = sigma * theta_DD @ theta_DD.T
        value_RR[D, D] = sigma
        self.key_query, self.value = nn.Parameter(key_query_RR), nn.Parameter(value_RR)

    def forward(self, prompt_BRC: Tensor) -> Tensor:
        """f(E), of the prompt's shape and dtype.

        Without softmax the product may be taken from the left: E E^T is R x R, where E^T W_KQ E is C x C.
        """
        N = prompt_BRC.shape[2] - 1
        moment_BRR = prompt_BRC @ prompt_BRC.transpose(1, 2)
        out_BRC: Tensor = prompt_BRC + self.value @ (moment_BRR / N) @ self.key_query @ prompt_BRC
        return out_BRC

    def predict(self, x_BND: Tensor, y_BN: Tensor, query_BD: Tensor) -> Tensor:
        """The label (B,) of each query from its prompt's examples."""
        prompt_BRC = prompt(x_BND, y_BN, query_BD)
        predicted_B: Tensor = self(prompt_BRC)[:, -1, -1]
        return predicted_B


def prompt(x_BND: Tensor, y_BN: Tensor, query_BD: Tensor) -> Tensor:
    """Examples and query as prompt matrices (B, R, C); the query's label is 0."""
    examples_BNR = torch.cat((x_BND, y_BN[..., None]), dim=2)
    asked_B1R = torch.cat((query_BD, torch.zeros_like(query_BD[:, :1])), dim=1)[:, None]
    return torch.cat((examples_BNR, asked_B1R), dim=1).transpose(1, 2)
