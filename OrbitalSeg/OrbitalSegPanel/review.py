"""The operator's check, slice by slice [3532-1]: which slices were seen as they are, and which were marked."""

from dataclasses import dataclass, field
from typing import Any

Prints = dict[int, str]
"""By slice that holds something: a fingerprint of what it holds."""


@dataclass
class Review:
    """A pass through the slices that hold something, counted from 0 along the result grid's third axis."""

    now: Prints
    """What the slices hold now."""
    looks: Prints = field(default_factory=dict)
    """What the slices held that somebody looked at, when they did."""
    marked: set[int] = field(default_factory=set)
    current: int | None = None

    def __post_init__(self) -> None:
        """What is shown is seen as it is now: whoever corrects a slice looks at it."""
        if self.current in self.now:
            self.looks[self.current] = self.now[self.current]

    @classmethod
    def from_json(cls, values: dict[str, Any], now: Prints) -> "Review":
        looks = {int(number): look for number, look in values.get("looks", {}).items()}
        return cls(now, looks, set(values.get("marked", ())), values.get("current"))

    def to_json(self) -> dict[str, Any]:
        return {"looks": self.looks, "marked": sorted(self.marked), "current": self.current}

    @property
    def count(self) -> int:
        return len(self.now)

    @property
    def seen(self) -> list[int]:
        """Slices that hold what they held when somebody looked."""
        return [number for number, print_ in self.now.items() if self.looks.get(number) == print_]

    @property
    def changed(self) -> list[int]:
        """Slices that were seen, and changed since."""
        return [number for number, print_ in self.now.items() if self.looks.get(number, print_) != print_]

    @property
    def unseen(self) -> list[int]:
        return sorted(self.now.keys() - set(self.seen))

    @property
    def left(self) -> list[int]:
        """Where there is still something to do: what was not seen, then what is marked."""
        return self.unseen or sorted(self.marked - {self.current})

    @property
    def share_seen(self) -> float:
        return len(self.seen) / self.count

    def next(self) -> int | None:
        """Go to the next slice that was not seen, then to those that are marked, from the current one on; it is seen.

        None, and no move, when there is nothing left to do.
        """
        left = self.left
        if not left:
            return None
        here = -1 if self.current is None else self.current
        self.current = next((number for number in left if number > here), left[0])
        if self.current in self.now:
            self.looks[self.current] = self.now[self.current]
        return self.current

    def mark(self) -> None:
        """Mark the current slice for correction, or take its mark away."""
        if self.current is not None:
            self.marked ^= {self.current}

    def to_contract(self, by: str, date: str, comment: str = "") -> dict[str, Any]:
        """As docs/contracts.md, section 7 wants it."""
        done = not self.unseen and not self.marked
        return {
            "kind": "slice-by-slice",
            "outcome": "accepted" if done else "incomplete",
            "by": by or None,
            "date": date,
            "seen": round(self.share_seen, 4),
            "marked": sorted(self.marked),
            "comment": comment or None,
        }
