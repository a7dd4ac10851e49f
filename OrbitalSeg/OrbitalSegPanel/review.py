"""The operator's check, slice by slice [3532-1]: which slices were seen, which were marked for correction."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Review:
    """A pass through the slices that hold something, counted from 0 along the scan grid's third axis."""

    first: int
    last: int
    seen: set[int] = field(default_factory=set)
    marked: set[int] = field(default_factory=set)
    current: int | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Review | None":
        if not values:
            return None
        review = cls(values["first"], values["last"], set(values["seen"]), set(values["marked"]))
        review.current = values["current"]
        return review

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "last": self.last,
            "seen": sorted(self.seen),
            "marked": sorted(self.marked),
            "current": self.current,
        }

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    @property
    def unseen(self) -> list[int]:
        return [number for number in range(self.first, self.last + 1) if number not in self.seen]

    @property
    def share_seen(self) -> float:
        return len(self.seen) / self.count

    def next(self) -> int | None:
        """Go to the next slice that was not seen, from the current one on and then from the first; it counts as seen.

        None, and no move, when every slice was seen.
        """
        unseen = self.unseen
        if not unseen:
            return None
        here = self.first if self.current is None else self.current
        self.current = next((number for number in unseen if number >= here), unseen[0])
        self.seen.add(self.current)
        return self.current

    def mark(self) -> None:
        """Mark the current slice for correction, or take its mark away."""
        if self.current is not None:
            self.marked ^= {self.current}

    def unsee(self) -> None:
        """The segmentation has changed: what was marked has to be seen again."""
        self.seen -= self.marked

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
