"""Do two triangles meet? By rational arithmetic, edges against triangles: slow, and never wrong."""

from fractions import Fraction


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def point_in_triangle(point, triangle, normal):
    turns = [dot(normal, cross(minus(triangle[(i + 1) % 3], triangle[i]), minus(point, triangle[i]))) for i in range(3)]
    return all(turn >= 0 for turn in turns)


def segments_in_plane_meet(p, q, a, b, normal):
    def side(u, v, w):
        return dot(normal, cross(minus(v, u), minus(w, u)))

    if side(p, q, a) == side(p, q, b) == 0:
        along = minus(q, p)
        ends = sorted([dot(along, minus(a, p)), dot(along, minus(b, p))])
        return ends[0] <= dot(along, along) and ends[1] >= 0
    return side(p, q, a) * side(p, q, b) <= 0 and side(a, b, p) * side(a, b, q) <= 0


def segment_meets_triangle(p, q, triangle):
    normal = cross(minus(triangle[1], triangle[0]), minus(triangle[2], triangle[0]))
    above_p, above_q = dot(normal, minus(p, triangle[0])), dot(normal, minus(q, triangle[0]))
    if above_p * above_q > 0:
        return False
    if above_p == above_q == 0:
        return point_in_triangle(p, triangle, normal) or any(
            segments_in_plane_meet(p, q, triangle[i], triangle[(i + 1) % 3], normal) for i in range(3)
        )
    part = Fraction(above_p, above_p - above_q)
    crossing = [x + part * (y - x) for x, y in zip(p, q, strict=True)]
    return point_in_triangle(crossing, triangle, normal)


def exact_pair_intersects(points, first, second):
    """Whether two triangles, given as indices of points, meet in more than the corner or edge they share."""
    shared = set(first) & set(second)
    one, other = [points[v] for v in first], [points[v] for v in second]
    if len(shared) == 3:
        return True
    if len(shared) == 2:
        begin, end = (points[v] for v in shared)
        arms = [next(points[v] for v in triangle if v not in shared) for triangle in (first, second)]
        sides = [cross(minus(end, begin), minus(arm, begin)) for arm in arms]
        return cross(*sides) == [0, 0, 0] and dot(*sides) > 0
    if len(shared) == 1:
        free_first = [points[v] for v in first if v not in shared]
        free_second = [points[v] for v in second if v not in shared]
        return segment_meets_triangle(*free_first, other) or segment_meets_triangle(*free_second, one)
    return any(segment_meets_triangle(one[i], one[i - 1], other) for i in range(3)) or any(
        segment_meets_triangle(other[i], other[i - 1], one) for i in range(3)
    )
