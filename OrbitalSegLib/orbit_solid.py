"""The bony orbit as one smooth solid whose volume has a closed form."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from OrbitalSegLib.places import Bounds, Point
from OrbitalSegLib.shapes import Shape

SHIFT = np.float32(1e-6)


def _elliptic_k(parameter: float) -> float:
    """The complete elliptic integral of the first kind, by the arithmetic-geometric mean."""
    a, b = 1.0, math.sqrt(1 - parameter)
    while abs(a - b) > 1e-12:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return math.pi / (2 * a)


@dataclass(frozen=True)
class OrbitSolid:
    """A four-sided pyramid with rounded edges, seen here as the left orbit; the right one is its mirror image.

    Start from the upright solid p^4 + 2 c p^2 q^2 + q^4 <= g(u)^4 with p = X / a and q = Z / b, over the depth
    s = u `depth_mm`, 0 <= u <= 1, with the profile g(u) = (1 - u)(1 + `bulge` u). Its section lies between an ellipse
    (`roundness` c = 1) and a rounded rectangle (0) and has the area 2 K(m) a b g^2, K being the complete elliptic
    integral of the first kind of the parameter m = (1 - c) / 2. Four shears turn it into an orbit without changing its
    volume: the front plane runs backwards to the side, the medial wall is parallel to the midline, the axis rises to
    the back, and floor and roof fall to the side.
    """

    side: int  # +1 left, -1 right: the sign of x in LPS
    half_width_mm: float = 18.0
    half_height_mm: float = 16.0
    depth_mm: float = 45.0
    roundness: float = 0.4
    bulge: float = 1.4  # widest 6 mm behind the rim
    medial_x_mm: float = 12.5  # half the distance between the orbits
    front_y_mm: float = -17.0  # of the front plane, in the middle of the entrance
    recession: float = 0.35  # the lateral rim lies 12 mm behind the medial rim
    rise: float = 0.08
    droop: float = 0.06

    @property
    def volume_ml(self) -> float:
        """The volume behind the front plane."""
        section = 2 * _elliptic_k((1 - self.roundness) / 2) * self.half_width_mm * self.half_height_mm
        profile = 1 / 3 + self.bulge / 6 + self.bulge**2 / 30
        return section * profile * self.depth_mm / 1000

    def depth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The depth s behind the front plane, mm along y."""
        middle_mm = self.medial_x_mm + self.half_width_mm
        return (
            y
            - np.float32(self.front_y_mm)
            - np.float32(self.recession) * (np.float32(self.side) * x - np.float32(middle_mm))
        )

    def section(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The place in the section: X to the side and Z to the head in mm from its centre, and the profile g."""
        s = self.depth(x, y)
        u = np.maximum(s, 0) / np.float32(self.depth_mm)
        g = (1 - u) * (1 + np.float32(self.bulge) * u)
        across = np.float32(self.side) * x - np.float32(self.medial_x_mm) - np.float32(self.half_width_mm) * g
        up = z - np.float32(self.rise) * s + np.float32(self.droop) * across
        return across, up, g

    def wall_distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Distance in mm to the wall of the orbit, to first order, negative inside; it knows no front plane."""
        a, b, k = np.float32(self.half_width_mm), np.float32(self.half_height_mm), np.float32(self.recession)
        depth = self.depth(x, y)
        across, up, g = self.section(x, y, z)
        p, q = across / a, up / b
        c, pp, qq = np.float32(self.roundness), p * p, q * q
        norm = np.sqrt(np.sqrt(pp * (pp + 2 * c * qq) + qq * qq)) + SHIFT
        cube = 1 / (norm * norm * norm)
        u = np.maximum(depth, 0) / np.float32(self.depth_mm)
        g_s = np.where(u > 0, (np.float32(self.bulge - 1) - 2 * np.float32(self.bulge) * u), 0)
        g_s = g_s / np.float32(self.depth_mm)
        by_across, by_up = b / a * p * (pp + c * qq) * cube, q * (qq + c * pp) * cube
        across_x, across_y = 1 + k * a * g_s, -a * g_s
        up_x = np.float32(self.rise) * k + np.float32(self.droop) * across_x
        up_y = -np.float32(self.rise) + np.float32(self.droop) * across_y
        slope_x = by_across * across_x + by_up * up_x + b * k * g_s
        slope_y = by_across * across_y + by_up * up_y - b * g_s
        slope = np.sqrt(slope_x**2 + slope_y**2 + by_up**2)
        return b * (norm - g) / np.maximum(slope, np.float32(0.3))

    def front_distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance in mm behind the front plane, negative in front of it."""
        return self.depth(x, y) / np.float32(math.hypot(1, self.recession))

    @cached_property
    def box(self) -> Bounds:
        """Around the cavity."""
        reach = 2.1 * self.half_width_mm
        xs = sorted((self.side * (self.medial_x_mm - 2), self.side * (self.medial_x_mm + reach)))
        slack = self.recession * self.half_width_mm + 2
        ys = (self.front_y_mm - slack, self.front_y_mm + self.depth_mm + slack)
        return ((xs[0], xs[1]), ys, (-1.2 * self.half_height_mm, 1.4 * self.half_height_mm))

    @cached_property
    def cavity(self) -> Shape:
        """What the volume is of."""
        return Shape(lambda x, y, z: np.maximum(self.wall_distance(x, y, z), -self.front_distance(x, y)), self.box)

    @cached_property
    def wall(self) -> Shape:
        """The cavity without its front plane."""
        return Shape(self.wall_distance, self.box)

    @cached_property
    def tube(self) -> Shape:
        """The cavity and the entrance in front of it, where there is no bone either."""
        xs, (near, far), zs = self.box
        return Shape(
            lambda x, y, z: np.maximum(self.wall_distance(x, y, z), -self.front_distance(x, y) - 15),
            (xs, (near - 18, far), zs),
        )

    def at(self, u: float, across: float, up: float) -> Point:
        """The point in patient space at depth u and at fractions `across` and `up` of the section's half axes."""
        g = (1 - u) * (1 + self.bulge * u)
        across_mm, up_mm, s = across * self.half_width_mm * g, up * self.half_height_mm * g, u * self.depth_mm
        x = self.medial_x_mm + self.half_width_mm * g + across_mm
        y = s + self.front_y_mm + self.recession * (x - self.medial_x_mm - self.half_width_mm)
        return (self.side * x, y, up_mm + self.rise * s - self.droop * across_mm)
