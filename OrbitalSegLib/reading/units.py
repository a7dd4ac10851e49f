"""Whether a scan's values are Hounsfield units: by what its headers say, and by where air and soft tissue stand."""

import re
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.reading.headers import Slice, dataset_of, text_of
from OrbitalSegLib.scan import AIR_HU, HIGHEST_HU

AIR_SEEN_HU = -300
"""A CT of a head holds air, outside it or in its sinuses: a volume whose lowest value is above this is no HU volume."""

BONE_SEEN_HU = 150
"""A CT of a head holds bone, a newborn's too: a volume whose highest value is below this is no HU volume."""

AIR_PEAK_HU = -850
"""Air outside the head stands below this, foam and blankets included."""

AIR_WINDOW_HU, AIR_SHARE, AIR_PEAK_SHARE = 100, 0.05, 0.5
"""Air is judged where it takes this share of the voxels, and this share of it lies in one window."""

SOFT_TISSUE_HU = (-150, 150)
"""Where fat, brain and muscle stand, and so the values that most voxels of a living head have."""

SOFT_WINDOW_HU, SOFT_SHARE, BONE_STEP_HU, BONE_SHARE = 200, 0.35, 200, 0.02
"""Soft tissue is what takes this share of all that is not air, in one window, with bone that much above it. A dry skull
or one of plastic has none."""

TISSUE_ABOVE_HU = -500

SAMPLES = 4_000_000
"""Voxels that are looked at, evenly over the volume."""

MAKERS = (
    *(
        "IMAGING SCIENCES",
        "I-CAT",
        "ICAT",
        "KAVO",
        "GENDEX",
        "PLANMECA",
        "VATECH",
        "EWOO",
        "NEWTOM",
        "QR S\\.?R\\.?L\\.?",
        "QR VERONA",
        "CEFLA",
    ),
    *("MYRAY", "J\\.? ?MORITA", "MORITA", "SOREDEX", "INSTRUMENTARIUM", "PALODEX", "ASAHI ROENTGEN", "GENORAY"),
    *("POINTNIX", "OWANDY", "ACTEON", "SATELEC", "DE GOTZEN", "TROPHY", "PREXION", "HDX ?WILL", "XORAN", "CURVEBEAM"),
    *("LARGEV", "FONA", "VILLA SISTEMI", "DENTSPLY", "SIRONA", "CARESTREAM DENTAL", "YOSHIDA", "RAYSCAN", "DENTIUM"),
    *("IMTEC", "VERVIEW", "OSSTEM", "DURR DENTAL", "DÜRR DENTAL", "ZIEHM"),
)
"""Who makes cone-beam devices and no other CT. Imtec, Imaging Sciences, Sirona, Morita, Planmeca and E-Woo stand in
Inside Dentistry 3(6), 2007, and 5(3), 2009; the others were not held against a source. Medtronic is none of them: its
navigation passes on CT of other makers."""

MODELS = (
    *(
        "I-CAT",
        "ICAT",
        "ILUMA",
        "(?:3D )?ACCUITOMO",
        "VERAVIEW\\w*",
        "GALILEOS",
        "ORTHOPHOS",
        "AXEOS",
        "PROMAX",
        "VISO",
    ),
    *(
        "SCANORA",
        "CRANEX",
        "ORTHOPANTOMOGRAPH",
        "ORTHOPANTOMO\\w*",
        "OP ?3D",
        "OP300",
        "CS ?(?:8100|8200|9000|9300|9500|9600)",
    ),
    *("KODAK 9[05]00", "CB ?MERCURAY", "MINI ?CAT", "ALPHARD", "AUGE", "PAX-\\w+", "PAX ?[IZ]3D", "GREEN ?CT", "GIANO"),
    *("HYPERION", "X-MIND", "DYNACT", "O-ARM", "OARM", "ARCADIS", "CIOS SPIN", "LOOP-X", "XVI", "OBI", "NEWTOM\\w*"),
    *("ON[- ]BOARD IMAGER", "RAYSCAN", "TRIUM", "WHITEFOX", "TROPHYPAN", "EAGLE 3D", "T1-CT", "PANOURA"),
)
"""Cone-beam devices, of makers of other CT as well."""

CONE_BEAM_WORDS = r"CBCT|CONE[-_ ]?BEAM"
_DEVICE = re.compile(rf"(?<!\w)(?:{'|'.join((*MAKERS, *MODELS, CONE_BEAM_WORDS))})(?!\w)", re.IGNORECASE)
_CBCT = re.compile(r"(?<![A-Z])CBCT(?![A-Z])", re.IGNORECASE)
_DESCRIBED = re.compile(CONE_BEAM_WORDS, re.IGNORECASE)

DESCRIPTIONS = ("SeriesDescription", "StudyDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
TEXT_KINDS = ("CS", "LO", "LT", "SH", "ST", "UC", "UT")
"""Attributes of these kinds are searched; a person's name is of another one."""

ADVICE = (
    "choose the original CT series of a scanner, or ask for grey values, for a result that is not to be used on a "
    "patient."
)


def cone_beam_device(manufacturer: str | None, model: str | None) -> str | None:
    """What the names of maker and model say of a cone-beam device; None where they do not."""
    found = _DEVICE.search(f"{manufacturer or ''} / {model or ''}")
    return found[0] if found else None


def cone_beam(maker: str | None) -> InputError | None:
    """The refusal of a scan of such a device; None without one."""
    if maker is None:
        return None
    return InputError(
        "not-hu",
        f"This scan comes from a cone-beam device ({maker}), whose values are no Hounsfield units: {ADVICE}",
    )


def why_not_hu_by_headers(slices: Sequence[Slice]) -> InputError | None:
    """The refusal where headers say that the values are no HU; None where they do not."""
    if any(item.header.get("ModalityLUTSequence") for item in slices):
        return InputError(
            "not-hu", f"The values of this series are turned into others by a table, which is not read: {ADVICE}"
        )
    unit = next((item.rescale.unit for item in slices if item.rescale.unit not in ("", "HU")), None)
    if unit == "US":
        return InputError(
            "not-hu", f"The header says that the unit of the values is unspecified (Rescale Type US): {ADVICE}"
        )
    if unit:
        return InputError("not-hu", f"The values of this series are not Hounsfield units ({unit[:16]}): {ADVICE}")
    try:
        with slices[0].path.open("rb") as file:
            header = dataset_of(file)
    except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke, in what nobody else needs
        header = slices[0].header
    return cone_beam(_cone_beam_words(header))


def _cone_beam_words(header: Dataset) -> str | None:
    """By which words a header says that a cone-beam device made the images."""
    device = cone_beam_device(text_of(header.get("Manufacturer")), text_of(header.get("ManufacturerModelName")))
    if device:
        return device
    for tag in list(header.keys()):
        try:
            element = header[tag]
        except Exception:  # noqa: BLE001 - pydicom raises whatever damaged bytes provoke
            continue
        words = _DESCRIBED if element.keyword in DESCRIPTIONS else _CBCT
        found = (
            words.search(text_of(element.value)) if element.VR in TEXT_KINDS and not element.tag.is_private else None
        )
        if found:
            return found[0]
    return None


def taken_as_they_are(problem: InputError) -> tuple[str, str]:
    """The warning where the user insists on what was refused."""
    cause = problem.text.removesuffix(ADVICE).rstrip(": ")
    return (
        "grey-values",
        f"{cause}. The values were taken as they are, as asked: no bone of this result can be relied on.",
    )


def why_not_hu(image: sitk.Image, rescale_missing: bool = False) -> InputError | None:
    """The refusal of values that no CT of a head in HU has; None for those that it can have."""
    voxels = sitk.GetArrayViewFromImage(image)
    # What is -1024 exactly may be padding, which an image that is not in HU may have as well.
    lowest = float(voxels.min(initial=HIGHEST_HU, where=voxels > AIR_HU))
    highest = float(voxels.max())
    cause = ", and the headers do not say how they become such" if rescale_missing else ""
    if lowest > AIR_SEEN_HU or highest < BONE_SEEN_HU:
        return InputError(
            "not-hu",
            f"The values run from {min(lowest, highest):g} to {highest:g}, which is no CT of a head in Hounsfield "
            f"units (an 8-bit or windowed export, a cone-beam device?){cause}: {ADVICE}",
        )
    tissue, place = _misplaced(voxels)
    if tissue:
        return InputError(
            "not-hu",
            f"{tissue} stands at {place} in this scan, which Hounsfield units do not put there (a cone-beam device?)"
            f"{cause}: {ADVICE}",
        )
    return None


def _misplaced(voxels: np.ndarray) -> tuple[str, int]:
    """Air or soft tissue that stands where HU do not put it, and where; an empty name where both are in place."""
    step = max(1, round((voxels.size / SAMPLES) ** (1 / 3)))
    sample = voxels[::step, ::step, ::step]
    air = sample[(sample > AIR_HU) & (sample < AIR_SEEN_HU)]
    place, share, _ = _peak(air, AIR_WINDOW_HU)
    if len(air) >= AIR_SHARE * sample.size and share >= AIR_PEAK_SHARE and place > AIR_PEAK_HU:
        return "Air", place
    place, share, above = _peak(sample[sample > TISSUE_ABOVE_HU], SOFT_WINDOW_HU)
    displaced = not SOFT_TISSUE_HU[0] <= place <= SOFT_TISSUE_HU[1]
    return ("Soft tissue" if share >= SOFT_SHARE and above >= BONE_SHARE and displaced else ""), place


def _peak(values: np.ndarray, window_hu: int) -> tuple[int, float, float]:
    """The middle of the window that holds most values, its share of them, and the share of those well above it."""
    bin_hu = 10
    counts = np.bincount((values.astype(np.int64) - AIR_HU) // bin_hu, minlength=window_hu // bin_hu)
    width = window_hu // bin_hu
    inside = np.convolve(counts, np.ones(width, int), "valid")
    first = int(inside.argmax())
    total = max(len(values), 1)
    middle = AIR_HU + (2 * first + width) * bin_hu // 2
    return middle, inside[first] / total, counts[first + width + BONE_STEP_HU // bin_hu :].sum() / total
