"""What linear self-attention learns in the limit, after Zhang, Frei and Bartlett (arXiv 2306.09927).

Prompts: x_i and x_query from N(0, Lambda), w from N(0, I) a prompt, y_i = <w, x_i> without noise, N examples
in training, M in a test. Gradient flow on the population loss from the paper's initialisation ends at
(theorem 4.1)

    Gamma = (1 + 1/N) Lambda + tr(Lambda)/N I
    W_KQ = tr(Gamma^-2)^(-1/4) Gamma^-1 in the x block,  W_PV = tr(Gamma^-2)^(1/4) in the last corner

so that the prediction is x_query^T Gamma^-1 (1/M) sum y_i x_i: one preconditioned step of gradient descent.
The risk averaged over w follows from theorem 4.2; that average, and the covariate-shift ratio below, are
derived, and checked by Monte Carlo in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Limit:
    """The trained layer for a diagonal Lambda.

    lambdas: eigenvalues of Lambda. n: examples in training. gammas: eigenvalues of Gamma.
    """

    lambdas: Vector
    n: int

    @property
    def gammas(self) -> Vector:
        """(1 + 1/N) lambda + tr(Lambda) / N."""
        gammas: Vector = (1 + 1 / self.n) * self.lambdas + self.lambdas.sum() / self.n
        return gammas

    @property
    def value(self) -> float:
        """w22 of W_PV: tr(Gamma^-2)^(1/4)."""
        return float((self.gammas**-2).sum() ** 0.25)

    @property
    def key_query(self) -> Vector:
        """Diagonal of the x block of W_KQ; its product with `value` is Gamma^-1."""
        return 1 / (self.gammas * self.value)

    @property
    def largest_sigma(self) -> float:
        """The initial scale below which the theorem holds: sigma^2 ||Gamma|| sqrt(d) < 2."""
        return math.sqrt(2 / (self.gammas.max() * math.sqrt(len(self.lambdas))))

    def predict(self, x_BND: Vector, y_BN: Vector, query_BD: Vector) -> Vector:
        """The label (B,) of each query."""
        moment_BD = (y_BN[..., None] * x_BND).mean(axis=1)
        predicted_B: Vector = (query_BD / self.gammas * moment_BD).sum(axis=1)
        return predicted_B

    def risk(self, m: float) -> float:
        """Mean squared error on prompts of M examples (inf allowed), averaged over w."""
        trace = self.lambdas.sum()
        both = self.lambdas + trace
        by_test = (both * self.lambdas**2 / self.gammas**2).sum() / m
        by_train = (both**2 * self.lambdas / self.gammas**2).sum() / self.n**2
        return float(by_test + by_train)

    def shifted_ratio(self, c: float) -> float:
        """Error over variance of the label when every x is c times as large, for infinitely many examples.

        Isotropic Lambda only: (c^2 / gamma - 1)^2. It grows without bound in c: covariate shift is not
        survived.
        """
        if not np.allclose(self.lambdas, self.lambdas[0]):
            raise ValueError("the ratio is known for an isotropic Lambda alone")
        return float((c**2 * self.lambdas[0] / self.gammas[0] - 1) ** 2)


def gradient_flow(limit: Limit, sigma: float, time: float, step: float) -> tuple[float, Vector]:
    """Integrate the flow of the two trained blocks from scale sigma (Runge and Kutta's fourth order).

    The loss of u = w22 and U = W_KQ's x block, both diagonal here, is
    1/2 [u^2 tr(U Lambda Gamma U Lambda) - 2 u tr(U Lambda^2) + tr Lambda]. Returns u and U's diagonal.
    """
    lam, gam = limit.lambdas, limit.gammas
    state = np.concatenate(([sigma], np.full(len(lam), sigma / len(lam) ** 0.5)))

    def slope(at: Vector) -> Vector:
        u, U = at[0], at[1:]
        du = (u * U * lam * gam * U * lam - U * lam**2).sum()
        dU = u**2 * lam * gam * U * lam - u * lam**2
        return -np.concatenate(([du], dU))

    for _ in range(round(time / step)):
        a = slope(state)
        b = slope(state + step / 2 * a)
        c = slope(state + step / 2 * b)
        d = slope(state + step * c)
        state = state + step / 6 * (a + 2 * b + 2 * c + d)
    return float(state[0]), state[1:]
