"""A head by formula: what is bone, what is air and what lies between.

Patient space is LPS in mm; the origin lies in the middle between the orbits. Every part is a solid by formula
(`shapes.py`). Bone is what the solids of `Parts.bone` cover and those of `Parts.voids` do not: the thin walls are not
shapes of their own but what is left between the orbit and the air beside it, so that their thickness is exact.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from OrbitalSegLib.errors import JobError
from OrbitalSegLib.orbit_solid import OrbitSolid
from OrbitalSegLib.shapes import (
    Field,
    Point,
    Shape,
    capsule,
    disc,
    ellipsoid,
    half_space,
    rounded_box,
    smooth_union,
    superellipsoid,
    union,
)

Side = Literal["left", "right"]
SIDES: dict[Side, int] = {"left": 1, "right": -1}

# Usual densities of tissues in CT, HU.
AIR_HU, FAT_HU, VITREOUS_HU, CSF_HU, OPACITY_HU, BRAIN_HU = -1000, -100, 8, 10, 30, 36
MUCOSA_HU, NERVE_HU, SOFT_HU, LENS_HU = 40, 42, 55, 110
METAL_HU = 8000  # titanium; the scanner clips it

# Thickness of the walls that are not thin, mm.
ORBIT_SHELL_MM, ROOF_MM, VAULT_MM, SINUS_WALL_MM, CELL_WALL_MM, SEPTUM_MM = 2.8, 2.5, 5.0, 1.5, 0.4, 1.2


@dataclass(frozen=True)
class Anatomy:
    """The head. Raises `JobError` `invalid-job` where a value makes no head."""

    wall_thickness_mm: float = 0.5
    """Of the orbital floor above the maxillary sinus and of the medial wall beside the ethmoid cells."""
    mucosa_mm: float = 0.0
    """Lining of the sinuses and ethmoid cells."""
    cortical_hu: float = 1200.0
    thin_hu: float = 800.0
    trabecular_hu: float = 400.0
    fracture: Literal["none", "floor", "medial"] = "none"
    """A blow-out: a round hole through which orbital fat sags into the sinus."""
    fracture_side: Side = "left"
    fracture_area_mm2: float = 150.0
    opacified: Literal["none", "left", "right"] = "none"
    """The maxillary sinus that is full of fluid."""
    metal: bool = False
    """A titanium plate on the left infraorbital rim."""
    turned_degrees: float = 0.0
    """The head is turned about the z axis through the origin, its face to the patient's left where positive. Truth
    turns with it."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.wall_thickness_mm <= 1.0:
            raise JobError("invalid-job", "The phantom's wall_thickness_mm must lie between 0.1 and 1.0.")
        if not 0 <= self.mucosa_mm <= 5:
            raise JobError("invalid-job", "The phantom's mucosa_mm must lie between 0 and 5.")
        if self.fracture not in ("none", "floor", "medial"):
            raise JobError("invalid-job", "The phantom's fracture must be none, floor or medial.")
        if self.fracture_side not in SIDES or self.opacified not in ("none", *SIDES):
            raise JobError("invalid-job", "A side of the phantom must be left or right.")
        if not 10 <= self.fracture_area_mm2 <= 250:
            raise JobError("invalid-job", "The phantom's fracture_area_mm2 must lie between 10 and 250.")

    def orbit(self, side: Side) -> OrbitSolid:
        """The bony orbit of one side, before the head is turned."""
        return OrbitSolid(SIDES[side])


@dataclass(frozen=True)
class Layers:
    """A solid and what fills it: (depth below its surface in mm, density in HU), from the surface inwards."""

    shape: Shape
    fill: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Parts:
    """The head in the order in which it is painted."""

    soft: tuple[Layers, ...]
    """The head without bone."""
    bone: tuple[Shape, ...]
    """Solids that are bone where no void is."""
    voids: tuple[Layers, ...]
    """Everything that is cut out of the bone."""
    contents: tuple[Layers, ...]
    """What lies inside the voids and cuts no bone."""
    thin: tuple[Shape, ...]
    """Where bone has the density of a thin wall."""
    trabecular: tuple[Shape, ...]
    """Where bone has the density of trabecular bone."""
    walls: tuple[tuple[Side, str, Shape], ...]
    """Side, name and far side of each thin wall: it lies between the orbit of that side and this void."""
    globes: dict[Side, Shape]
    """Each eyeball, with the cornea."""
    named: dict[str, Shape]
    """Solids in which all bone is of one name: `mandible` (its two rami), `vault`."""
    openings: tuple[tuple[Side, str, Shape], ...]
    """Side, name and solid of each natural opening that leads out of an orbit."""
    herniated: tuple[Shape, ...]
    """Orbital fat that sags through a fracture, beyond the wall."""


@cache
def parts(anatomy: Anatomy) -> Parts:
    """All parts of a head, before it is turned."""
    orbits = {side: anatomy.orbit(side) for side in SIDES}
    brain = _brain(orbits)
    sides = {side: _Half(anatomy, side, orbits[side]) for side in SIDES}
    halves = list(sides.values())
    plates = (_plate(),) if anatomy.metal else ()
    return Parts(
        soft=_soft_tissue(),
        bone=(brain.grown(VAULT_MM), *_midface(), *(shape for half in halves for shape in half.bone())),
        voids=(
            *(layers for half in halves for layers in half.voids()),
            Layers(brain, ((0.0, CSF_HU), (1.5, BRAIN_HU))),
            *(Layers(plate, ((0.0, METAL_HU),)) for plate in plates),
        ),
        contents=tuple(layers for half in halves for layers in half.contents()),
        thin=tuple(shape for half in halves for shape in half.thin()),
        trabecular=(
            brain.shell(0.28 * VAULT_MM, 0.72 * VAULT_MM),
            *(shape for half in halves for shape in half.trabecular()),
        ),
        walls=tuple(wall for half in halves for wall in half.walls()),
        globes={side: half.globe() for side, half in sides.items()},
        named={"mandible": _ramus() | _ramus().mirrored(), "vault": brain.grown(VAULT_MM)},
        openings=tuple((side, name, shape) for side, half in sides.items() for name, shape in half.openings.items()),
        herniated=tuple(fat for half in halves for fat in half.herniated_fat()),
    )


def _brain(orbits: dict[Side, OrbitSolid]) -> Shape:
    """The cranial cavity: three fossae, above orbits and frontal sinuses."""
    whole = ellipsoid((0, 66, 40), (67, 85, 67))
    slope = half_space((0, 0, 12), (0.2, 0.12, -1))
    anterior = slope & slope.mirrored()  # lowest over the nose
    middle = ellipsoid((38, 50, -4), (21, 27, 20))
    middle = middle | middle.mirrored()
    sellar = ellipsoid((0, 56, 13), (22, 18, 9))
    posterior = ellipsoid((0, 104, -6), (52, 38, 28))
    cavity = smooth_union(smooth_union(smooth_union(anterior, middle, 8), sellar, 8), posterior, 8) & whole
    for side, orbit in orbits.items():
        cavity = cavity - orbit.tube.grown(ROOF_MM) - _frontal_sinus(side).grown(2)
    return cavity


def _ramus() -> Shape:
    """The left one of the mandible, as far as a scan of the orbits may hold it."""
    return capsule((50, 66, -22), (47, 60, -75), 4.5, 4)


def _frontal_sinus(side: Side) -> Shape:
    # The two frontal sinuses of a head are never alike.
    if side == "left":
        return ellipsoid((9.5, -18, 25), (8.5, 5, 11))
    return ellipsoid((-8.5, -18, 23), (7, 4.5, 8))


def _head() -> Shape:
    """Everything inside the skin."""
    cranium = ellipsoid((0, 66, 40), (78, 97, 78))
    face = ellipsoid((0, 25, -38), (67, 60, 82))
    neck = ellipsoid((0, 70, -28), (76, 62, 70))
    head = smooth_union(smooth_union(cranium, neck, 20), face, 20)
    head = smooth_union(head, capsule((0, -25, 6), (0, -42, -32), 7, 11), 10)
    for side in (1, -1):
        lateral_rim = ellipsoid((side * 46, -2, 1), (14, 16, 30))
        cheekbone = ellipsoid((side * 47, -4, -22), (15, 18.5, 16))
        head = smooth_union(head, smooth_union(lateral_rim, cheekbone, 8), 10)
        head = smooth_union(head, ellipsoid((side * 31, -14, 0), (15.5, 15.5, 15.5)), 5)
    return head


def _soft_tissue() -> tuple[Layers, ...]:
    fat = [
        ellipsoid((side * x, y, z), radii)
        for side in (1, -1)
        for (x, y, z), radii in (
            ((46, 2, -40), (8, 15, 14)),  # buccal
            ((43, 30, -22), (6, 9, 10)),  # behind the maxilla
            ((53, 14, 2), (3.5, 12, 14)),  # temporal
        )
    ]
    return (
        Layers(_head(), ((0.0, SOFT_HU), (1.8, FAT_HU), (5.0, SOFT_HU))),
        *(Layers(pad, ((0.0, FAT_HU),)) for pad in fat),
        Layers(ellipsoid((0, 48, -36), (11, 9, 20)), ((0.0, MUCOSA_HU), (1.5, AIR_HU))),  # nasopharynx
    )


def _midface() -> tuple[Shape, ...]:
    """Unpaired bone: ethmoid block, septum, sphenoid body, palate, root and bones of the nose."""
    nose = capsule((0, -22, 6), (0, -36, -16), 5, 7)
    return (
        rounded_box((-16.5, -17, -7), (16.5, 27, 14), 2),
        rounded_box((-SEPTUM_MM / 2, -16, -50), (SEPTUM_MM / 2, 36, -4), 0.3),
        ellipsoid((0, 42, -6), (18, 16, 14)),
        ellipsoid((0, 4, -52), (27, 30, 6)),
        ellipsoid((0, -21, 10), (9, 5, 9)),
        ellipsoid((0, -13, 25), (36, 10, 14)),  # brow
        nose.shell(-1.7, 0.0) & half_space((0, -19, 0), (0, 1, 0.1)) & half_space((0, 0, -15), (0, 0, -1)),
    )


@dataclass(frozen=True)
class _Half:
    """The parts of one side. All are written for the left side and mirrored."""

    anatomy: Anatomy
    side: Side
    orbit: OrbitSolid

    def _placed(self, shape: Shape) -> Shape:
        return shape if self.side == "left" else shape.mirrored()

    def bone(self) -> tuple[Shape, ...]:
        orbit = self.orbit
        shell = Shape(
            lambda x, y, z: np.maximum(orbit.wall_distance(x, y, z) - ORBIT_SHELL_MM, 1.5 - orbit.front_distance(x, y)),
            orbit.cavity.grown(ORBIT_SHELL_MM + 1).box,
        )
        left = (
            ellipsoid((45, -8, -21), (11, 10, 10)),  # zygoma
            capsule((50, -3, -21), (60, 24, -20), 3.2, 2.4),  # zygomatic arch
            capsule((60, 24, -20), (61, 50, -16), 2.4, 4),
            capsule((47, 2, 16), (44, -7, 17), 4, 5),  # frontozygomatic pillar
            capsule((9, -22, 2), (13.5, -19, -24), 2.6, 3.2),  # frontal process of the maxilla
            capsule((9, -22, 0), (6.5, -29, -13), 1.8, 1.4),
            ellipsoid((30, -9, -24), (13, 5.5, 8)),  # face of the maxilla
            capsule((13, 36, -18), (15, 39, -50), 2.2, 1.8),  # pterygoid plate
            capsule((56, 78, -16), (20, 60, -8), 10, 7),  # petrous bone
            _ramus(),
        )
        nasal_shell = self._placed(_nasal().grown(1.2) & half_space((0, -17, -20), (0, -1, 0.45)))
        return (
            *(self._placed(shape) for shape in left),
            shell,
            self._rim(),
            self._sinus_blob().grown(SINUS_WALL_MM),
            nasal_shell,
            _frontal_sinus(self.side).grown(2),
        )

    def voids(self) -> tuple[Layers, ...]:
        lining = self.anatomy.mucosa_mm
        sinus_fill = OPACITY_HU if self.anatomy.opacified == self.side else AIR_HU
        return (
            Layers(self.orbit.tube & _head(), ((0.0, SOFT_HU),)),
            *(
                Layers(shape, ((0.0, FAT_HU if "fissure" in name else NERVE_HU),))
                for name, shape in self.openings.items()
            ),
            Layers(self._nasal_half(), ((0.0, MUCOSA_HU), (1.0, AIR_HU))),
            Layers(self._sinus, ((0.0, MUCOSA_HU), (lining, sinus_fill))),
            Layers(_frontal_sinus(self.side), ((0.0, MUCOSA_HU), (lining, AIR_HU))),
            Layers(self._placed(ellipsoid((7.2, 37, -5), (6.6, 12, 8))), ((0.0, MUCOSA_HU), (lining, AIR_HU))),
            *(Layers(cell, ((0.0, MUCOSA_HU), (lining, AIR_HU))) for cell in self._cells),
            *(Layers(hole, ((0.0, FAT_HU),)) for hole in self._fracture_hole()),
        )

    def globe(self) -> Shape:
        return self._placed(ellipsoid((31, -14, 0), (12, 12, 12)) | ellipsoid((31, -20, 0), (7, 7, 7)))

    def contents(self) -> tuple[Layers, ...]:
        left = (
            (ellipsoid((31, -22.4, 0), (4.6, 2.0, 4.6)), ((0, LENS_HU),)),
            (ellipsoid((43.5, -9, 9), (3.0, 6, 4)), ((0, SOFT_HU),)),  # lacrimal gland
            (capsule((29.5, -2.5, 0.5), (26, 10, 2.2), 2.1), ((0, NERVE_HU),)),  # optic nerve
            (capsule((26, 10, 2.2), (14.5, 20.5, 3.5), 2.1, 1.9), ((0, NERVE_HU),)),
            (capsule((9, -13, -39), (9, 27, -37), 3.8), ((0, SOFT_HU),)),  # inferior turbinate
            (capsule((6.5, -6, -21), (6.5, 26, -21), 2.4), ((0, SOFT_HU),)),  # middle turbinate
        )
        return (
            Layers(self.orbit.cavity, ((0.0, FAT_HU),)),
            Layers(self._muscles(), ((0.0, SOFT_HU),)),
            Layers(self.globe(), ((0, SOFT_HU), (1.2, VITREOUS_HU))),
            *(Layers(self._placed(shape), fill) for shape, fill in left),
            *(Layers(fat, ((0.0, FAT_HU),)) for fat in self.herniated_fat()),
        )

    def thin(self) -> tuple[Shape, ...]:
        near = 2 * self.anatomy.wall_thickness_mm + 0.5
        ethmoid = self._placed(rounded_box((0.2, -13.5, -7.5), (16.5, 24, 12.2), 1))
        return (ethmoid, self._sinus_blob().grown(near) & self.orbit.tube.grown(near))

    def trabecular(self) -> tuple[Shape, ...]:
        return (
            self._placed(ellipsoid((45, -8, -21), (8, 7, 7))) - self.orbit.tube.grown(2),
            self._placed(capsule((56, 78, -16), (20, 60, -8), 7, 4)),
            self._ring(1.3),
        )

    @cached_property
    def openings(self) -> dict[str, Shape]:
        return {
            "superior orbital fissure": self._superior_fissure(),
            "inferior orbital fissure": self._inferior_fissure(),
            "infraorbital canal": self._infraorbital_canal(),
            "optic canal": self._optic_canal(),
        }

    def walls(self) -> tuple[tuple[Side, str, Shape], ...]:
        return ((self.side, "floor", self._sinus), *((self.side, "medial", cell) for cell in self._cells))

    def _ring(self, radius_mm: float) -> Shape:
        orbit = self.orbit
        xs, (front, _), zs = orbit.cavity.grown(7).box
        return Shape(
            lambda x, y, z: np.hypot(orbit.wall_distance(x, y, z) - 3.0, orbit.front_distance(x, y) - 2.2) - radius_mm,
            (xs, (front, front + 22), zs),
        )

    def _rim(self) -> Shape:
        return self._ring(3.0)

    def _beside_orbit(self, void: Shape) -> Shape:
        """What is left of a void when the orbit and the wall between them are taken from it."""
        return void - self.orbit.wall.grown(self.anatomy.wall_thickness_mm)

    def _sinus_blob(self) -> Shape:
        # The right sinus is the smaller one, so that left and right cannot be mistaken.
        size = (15.0, 17.5, 19.0) if self.side == "left" else (13.0, 15.5, 17.5)
        blob = superellipsoid((29.5, 7, -27), size) & half_space((40, 7, -34), (1, 0.25, -0.55))
        return self._placed(blob & half_space((38, 15, -18), (1, 0.9, 0.2)))

    @cached_property
    def _sinus(self) -> Shape:
        """The maxillary sinus: below the floor, inside its own walls, around the infraorbital canal."""
        void = self._beside_orbit(self._sinus_blob())
        keep_off = (self._rim().grown(0.6), self._inferior_fissure().grown(1.0), self._infraorbital_canal().grown(0.7))
        for shape in keep_off:
            void = void - shape
        return void - self._placed(_nasal().grown(1.0))

    @cached_property
    def _cells(self) -> tuple[Shape, ...]:
        """The ethmoid cells: two storeys of boxes beside the orbit."""
        cuts, floors = (-13.0, -4.5, 4.5, 13.5, 23.0), (3.5, 5.0, 4.0, 6.0)
        half = CELL_WALL_MM / 2
        cells = []
        for near, far, middle in zip(cuts, cuts[1:], floors, strict=False):
            for low, high in ((-4.5, middle), (middle, 12.0)):
                box = rounded_box((4.0, near + half, low + half), (16.0, far - half, high - half), 1.5)
                cells.append(self._beside_orbit(self._placed(box)))
        return tuple(cells)

    def _nasal_half(self) -> Shape:
        cleft = rounded_box((0, -10, -12), (3.4, 23, 11), 0.5)
        nostril = capsule((0, -22, -8), (0, -36, -28), 2.5, 5.5)
        return self._placed(union(_nasal(), cleft, nostril) & half_space((SEPTUM_MM / 2, 0, 0), (-1, 0, 0)))

    def _infraorbital_canal(self) -> Shape:
        points: tuple[Point, ...] = ((28, 6, -11), (29.5, -6, -17.8), (30.5, -12, -22.5), (31.5, -19, -27.5))
        return self._placed(union(*(capsule(a, b, 1.3) for a, b in pairwise(points))))

    def _optic_canal(self) -> Shape:
        return self._placed(capsule((15.5, 17.5, 3.6), (7, 42, 10), 2.3))

    def _superior_fissure(self) -> Shape:
        return self._placed(union(*(capsule((20, 17, z), (32, 40, z - 3), 1.8) for z in (1.5, 4.0))))

    def _inferior_fissure(self) -> Shape:
        """A slit along the edge between floor and lateral wall that leads out of the orbit."""
        orbit = self.orbit

        def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
            across, up, _ = orbit.section(x, y, z)
            tangential = (across / orbit.half_width_mm + up / orbit.half_height_mm) * 11.0
            outward = orbit.wall_distance(x, y, z)
            along = np.abs(orbit.depth(x, y) - 29) - 8
            behind = np.maximum(outward - 7, np.maximum(-3 - outward, -across))
            return np.maximum(np.maximum(np.abs(tangential) - 1.8, along), behind)

        x, y, z = orbit.at(0.64, 0.84, -0.84)
        return Shape(field, ((x - 15, x + 15), (y - 15, y + 15), (z - 12, z + 12)))

    def _muscles(self) -> Shape:
        """The four rectus muscles, from the apex to the globe."""
        orbit = self.orbit

        def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
            across, up, g = orbit.section(x, y, z)
            v = (orbit.depth(x, y) / orbit.depth_mm - 0.04) / 0.9
            swell = 4 * v * (1 - v)
            swell = 1.9 * np.sign(swell) * np.sqrt(np.abs(swell))
            flatness = 1.9 / (4.6 * (0.3 + 0.7 * np.clip(g, 0, 1)))
            beside = np.abs(across) - (0.8 * orbit.half_width_mm * g - 0.5)
            above = np.abs(up) - (0.8 * orbit.half_height_mm * g - 0.5)
            return np.minimum(np.hypot(beside, up * flatness), np.hypot(above, across * flatness)) - swell

        return Shape(field, orbit.cavity.box)

    def _fracture_place(self) -> tuple[Point, Point] | None:
        """Middle of the hole on the wall's mid-surface, and the wall's normal out of the orbit."""
        if self.anatomy.fracture == "none" or self.anatomy.fracture_side != self.side:
            return None
        start = self.orbit.at(0.34, -0.42, -1) if self.anatomy.fracture == "floor" else self.orbit.at(0.45, -1, 0.1)
        point = np.asarray(start, float)
        for _ in range(4):
            normal = gradient(self.orbit.wall_distance, point)
            distance = float(self.orbit.wall_distance(*point)) - self.anatomy.wall_thickness_mm / 2
            point = point - distance * normal / float(normal @ normal)
        normal = normal / np.linalg.norm(normal)
        return _point(point), _point(normal)

    def _fracture_hole(self) -> tuple[Shape, ...]:
        place = self._fracture_place()
        if place is None:
            return ()
        radius_mm = math.sqrt(self.anatomy.fracture_area_mm2 / math.pi)
        return (disc(*place, radius_mm, 2.5),)

    def herniated_fat(self) -> tuple[Shape, ...]:
        place = self._fracture_place()
        if place is None:
            return ()
        (x, y, z), normal = place
        wide = 1.15 * math.sqrt(self.anatomy.fracture_area_mm2 / math.pi)
        if self.anatomy.fracture == "floor":
            sac, voids = ellipsoid((x, y, z - 3), (wide, wide, 7)), [self._sinus]
        else:
            sac, voids = ellipsoid((x + 2 * normal[0], y, z), (5, wide, wide)), list(self._cells)
        return tuple(sac & void for void in voids)


def _nasal() -> Shape:
    """The nasal cavity, both halves."""
    return ellipsoid((0, 7, -29), (13.5, 38, 22))


def _plate() -> Shape:
    return capsule((24, -22.5, -20), (41, -17, -20), 0.9)


def _point(place: np.ndarray) -> Point:
    return (float(place[0]), float(place[1]), float(place[2]))


def gradient(field: Field, point: np.ndarray, step_mm: float = 1e-3) -> np.ndarray:
    """The gradient of a field at one point, by central differences."""
    steps = np.eye(3) * step_mm
    return np.array([(field(*(point + e)) - field(*(point - e))) / (2 * step_mm) for e in steps])
