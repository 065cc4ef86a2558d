"""How long answers take: distributions in seconds, drawn from seeded random numbers."""

from __future__ import annotations

import math
import random
from typing import Literal, Self, TypeAlias

import msgspec

__all__ = ["Latency", "LatencyLike"]

_LONGEST_SECONDS = 86_400.0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of latencies, in seconds.

    ``uniform`` lies between ``shortest`` and ``longest``; ``lognormal`` has its median at ``median`` with the shape
    ``sigma``, cut at ``longest``; ``exponential`` adds a tail of mean ``median`` to ``shortest``, cut at ``longest``.
    A share ``slow_share`` of all answers takes ``slow_factor`` times as long.
    """

    kind: Literal["uniform", "lognormal", "exponential"] = "uniform"
    shortest: float = 0.0
    longest: float = 0.0
    median: float = 0.05
    sigma: float = 0.5
    slow_share: float = 0.0
    slow_factor: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what is no time to wait."""
        numbers = (self.shortest, self.longest, self.median, self.sigma, self.slow_share, self.slow_factor)
        if not all(0.0 <= one <= _LONGEST_SECONDS for one in numbers):
            raise ValueError(f"a latency lies between 0 and {_LONGEST_SECONDS:.0f} s")
        if self.kind == "uniform" and self.shortest > self.longest:
            raise ValueError(f"a latency of {self.shortest} s at least and {self.longest} s at most is none")

    def draw(self, rng: random.Random) -> float:
        """One latency, in seconds."""
        match self.kind:
            case "uniform":
                seconds = self.shortest + (self.longest - self.shortest) * rng.random()
            case "lognormal":
                seconds = min(self.longest or math.inf, self.median * math.exp(self.sigma * rng.gauss(0.0, 1.0)))
            case "exponential":
                seconds = min(self.longest or math.inf, self.shortest - self.median * math.log(1.0 - rng.random()))
        return seconds * self.slow_factor if self.slow_share and rng.random() < self.slow_share else seconds

    @property
    def none(self) -> bool:
        """Whether every latency is zero."""
        return self.kind == "uniform" and self.longest <= 0.0

    @classmethod
    def of(cls, value: LatencyLike) -> Self:
        """A latency from a (shortest, longest) pair, from seconds, from text, or from one that is there already.

        Text is ``0.05``, ``0.02-0.12``, ``lognormal:0.05,0.6`` or ``exponential:0.02,0.05``.

        Raises:
            ValueError: the text is none of these.
        """
        match value:
            case Latency():
                return msgspec.convert(msgspec.to_builtins(value), cls)
            case tuple():
                return cls(shortest=value[0], longest=value[1])
            case str():
                return cls._parsed(value)
            case _:
                return cls(shortest=float(value), longest=float(value))

    @classmethod
    def _parsed(cls, text: str) -> Self:
        name, colon, numbers = text.partition(":")
        try:
            if not colon:
                shortest, _, longest = text.partition("-")
                return cls(shortest=float(shortest), longest=float(longest or shortest))
            first, second = (float(number) for number in numbers.split(","))
        except ValueError:
            raise ValueError(
                f"{text!r} is no latency: use 0.05, 0.02-0.12, lognormal:MEDIAN,SIGMA or exponential:SHORTEST,MEAN"
            ) from None
        if name == "lognormal":
            return cls(kind="lognormal", median=first, sigma=second)
        if name == "exponential":
            return cls(kind="exponential", shortest=first, median=second)
        raise ValueError(f"{name!r} is no distribution: use lognormal or exponential")


LatencyLike: TypeAlias = "Latency | tuple[float, float] | float | str"
"""What :meth:`Latency.of` takes."""
