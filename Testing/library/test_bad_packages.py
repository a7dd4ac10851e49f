"""Broken and hostile model packages: each is refused in one sentence, and nothing of it runs."""

import hashlib
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import safetensors.numpy
import torch
from tiny_network import small_state

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.package import load_package

pytestmark = pytest.mark.learn

Spoil = Callable[[Path], None]
REFUSED: list[Any] = []


def refused(sentence: str) -> Callable[[Spoil], Spoil]:
    """Registers a way to spoil a package, and what is then said."""

    def register(spoil: Spoil) -> Spoil:
        REFUSED.append(pytest.param(spoil, sentence, id=spoil.__name__))
        return spoil

    return register


def described(sentence: str, **changes: Any) -> None:
    """Registers a change of the description; a path's parts are joined by two underscores."""
    for path, value in changes.items():

        def spoil(folder: Path, path: str = path, value: Any = value) -> None:
            with editing(folder) as description:
                *parents, last = path.split("__")
                holder = description
                for parent in parents:
                    holder = holder[parent]
                holder[last] = value

        REFUSED.append(pytest.param(spoil, sentence, id=f"{path}={str(value)[:30]!r}"))


@contextmanager
def editing(folder: Path) -> Iterator[dict[str, Any]]:
    """Gives the description to change, and writes it back."""
    path = folder / "model.json"
    description = json.loads(path.read_text())
    yield description
    path.write_text(json.dumps(description))


def put(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, with the description saying so: only what is in it can still be wrong."""
    (folder / name).write_bytes(content)
    with editing(folder) as description:
        description["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def put_weights(folder: Path, **changes: np.ndarray | None) -> None:
    """Change (or, with None, remove) weights of network `a`; dots in names are underscores here."""
    weights = safetensors.numpy.load((folder / "a.safetensors").read_bytes())
    names = {name.replace(".", "_"): name for name in weights}
    for key, value in changes.items():
        weights.pop(names.get(key, key), None)
        if value is not None:
            weights[names.get(key, key)] = value
    put(folder, "a.safetensors", safetensors.numpy.save(weights))


NOT_UNDERSTOOD = "model.json of the model package cannot be understood"
NOT_SAFETENSORS = "The weights in a.safetensors of the model package are no safetensors file"


@refused("model.json of the model package is missing or cannot be read")
def an_empty_folder(folder):
    for path in folder.iterdir():
        path.unlink()


@refused("model.json of the model package is not a plain file")
def a_directory_in_place_of_the_description(folder):
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()


@refused("model.json of the model package is not a plain file")
def a_pipe_in_place_of_the_description(folder):
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")


@refused("model.json of the model package is larger than it may be")
def a_description_without_end(folder):
    (folder / "model.json").write_bytes(b" " * (2 << 20))


@refused(NOT_UNDERSTOOD)
def a_description_that_is_not_utf_8(folder):
    (folder / "model.json").write_bytes((folder / "model.json").read_bytes().replace(b"Tests.", b"T\xe9sts."))


@refused(NOT_UNDERSTOOD)
def a_description_cut_short(folder):
    (folder / "model.json").write_bytes((folder / "model.json").read_bytes()[:-20])


@refused(NOT_UNDERSTOOD)
def an_empty_description(folder):
    (folder / "model.json").write_bytes(b"")


@refused(NOT_UNDERSTOOD)
def a_key_that_stands_twice(folder):
    (folder / "model.json").write_text((folder / "model.json").read_text().replace("{", '{"format": 1,', 1))


@refused(NOT_UNDERSTOOD)
def a_number_that_is_none(folder):
    (folder / "model.json").write_text(
        (folder / "model.json").read_text().replace('"spacing_mm": 1.0', '"spacing_mm": NaN')
    )


@refused(NOT_UNDERSTOOD)
def a_number_beyond_all_numbers(folder):
    (folder / "model.json").write_text(
        (folder / "model.json").read_text().replace('"spacing_mm": 1.0', '"spacing_mm": 1e999')
    )


@refused(NOT_UNDERSTOOD)
def a_number_of_ten_thousand_digits(folder):
    (folder / "model.json").write_text(
        (folder / "model.json").read_text().replace('"spacing_mm": 1.0', '"spacing_mm": ' + 10_000 * "9")
    )


@refused(NOT_UNDERSTOOD)
def brackets_without_end(folder):
    (folder / "model.json").write_text("[" * 100_000)


@refused("the description must be of type object")
def a_list_in_place_of_the_description(folder):
    (folder / "model.json").write_text("[1]")


def classes(sentence: str, *listed: str | dict) -> None:
    """A refusal of a network with these classes."""

    def spoil(folder):
        with editing(folder) as description:
            description["format"] = 2
            description["networks"]["a"]["classes"] = [
                one if isinstance(one, dict) else {"name": one} for one in listed
            ]

    refused(sentence)(spoil)


classes("two classes of networks are the structure eye", "eye", "eye")
classes("two classes of networks are the structure b", "b")
classes("two classes of networks are the structure bone", "bone", "single")
classes("has bone, which is of the kind seen", {"name": "bone", "kind": "cavity"})
classes("has inferred, which no network sees", "inferred")
classes("eye, which touches no other class of the package", {"name": "eye", "touches": "nerve"})
classes("eye, which touches no other class of the package", {"name": "eye", "touches": "eye"})
classes("have not the shapes of the network", "eye", "nerve")


@refused("networks.b.calibration is missing")
def a_missing_key(folder):
    with editing(folder) as description:
        del description["networks"]["b"]["calibration"]


@refused("networks has too few entries")
def no_networks(folder):
    with editing(folder) as description:
        description["networks"] = {}


@refused("networks.a.safetensors is not listed in files")
def a_file_that_is_not_listed(folder):
    with editing(folder) as description:
        del description["files"]["a.safetensors"]


@refused("two entries of networks use one file")
def two_networks_in_one_file(folder):
    with editing(folder) as description:
        description["networks"]["b"]["safetensors"] = "a.safetensors"


@refused("the name files.con?.md has not the form that is asked for")
def a_listed_name_with_a_colon(folder):
    with editing(folder) as description:
        description["files"]["con:.md"] = description["files"]["a.safetensors"]


described("The model package is newer than this program, which reads format 2", format=3)
described("The model package is newer than this program, which reads format 2", format=1e300)
described("format must be one of", format=0)
described("format must be one of", format="1")
described("surprise is not known", surprise=1)
described("spacing_mm must be of type number", spacing_mm="0.5")
described("spacing_mm must be of type number", spacing_mm=True)
described("spacing_mm must be at least 0.1", spacing_mm=1e-9)
described("spacing_mm must be at most 5", spacing_mm=10**400)
described("window_hu must rise", window_hu=[300, -200])
described("planes names something twice", planes=["axial", "axial"])
described("planes[0] must be one of", planes=["oblique"])
described("name has not the form that is asked for", name="<b>Bone</b>\n")
described("intended_use is too long", intended_use="x" * 5000)
described("networks.a.seen_above must be below 1", networks__a__seen_above=1.0)
described("networks.a.seen_above must be above 0", networks__a__seen_above=-0.5)
described("networks.a.inferred_above must be below seen_above", networks__a__inferred_above=0.9)
described("networks.a.inferred_above must be of type number or null", networks__a__inferred_above="low")
described("networks.a.calibration.slope must be above 0", networks__a__calibration={"slope": 0, "offset": 0})
described("networks.a.classes must be at most 2", networks__a__classes=3)
described("networks.a.classes is a list, which format 2 has", networks__a__classes=[{"name": "eye"}])
described("networks.a.classes has too few entries", networks__a__classes=[])
described("networks.a.classes[0].name is missing", networks__a__classes=[{}])
described("networks.a.classes[0].kind must be one of", networks__a__classes=[{"name": "eye", "kind": "bone"}])
described("classes[0].above must be below 1", networks__a__classes=[{"name": "eye", "above": 1}])
described("classes[0].keep_largest must be at least 1", networks__a__classes=[{"name": "eye", "keep_largest": 0}])
described("title has not the form that is asked for", networks__a__classes=[{"name": "eye", "title": "<b>Eye</b>"}])
described("networks.a.channels[1] must be at most 1024", networks__a__channels=[16, 10**12])
described("networks.a.channels has too many entries", networks__a__channels=[1] * 40)
described("networks.a.safetensors has not the form that is asked for", networks__a__safetensors="/etc/x.safetensors")
described("networks.a.safetensors has not the form that is asked for", networks__a__safetensors="../b/a.safetensors")
described("networks.a.safetensors has not the form that is asked for", networks__a__safetensors="..\\a.safetensors")
described("networks.a.safetensors is a file of another kind", networks__a__safetensors="card.md")
described("are not those of the network that the description names", networks__a__channels=[2, 3, 4])
described("have not the shapes of the network that the description names", networks__a__channels=[2, 4])


@refused("a.safetensors of the model package is missing or cannot be read")
def a_file_that_is_not_there(folder):
    (folder / "a.safetensors").unlink()


@refused("a.safetensors of the model package is not a plain file")
def a_directory_in_place_of_the_weights(folder):
    (folder / "a.safetensors").unlink()
    (folder / "a.safetensors").mkdir()


@refused("a.safetensors of the model package is not a plain file")
def a_link_out_of_the_folder(folder):
    shutil.move(folder / "a.safetensors", folder.parent / "elsewhere")
    (folder / "a.safetensors").symlink_to(folder.parent / "elsewhere")


@refused("a.safetensors of the model package has not the size that its description says")
def weights_cut_short(folder):
    (folder / "a.safetensors").write_bytes((folder / "a.safetensors").read_bytes()[:-4])


@refused("a.safetensors of the model package is larger than it may be")
def weights_that_grew(folder):
    (folder / "a.safetensors").write_bytes((folder / "a.safetensors").read_bytes() + b"\0")


@refused("files.a.safetensors.bytes must be at most 33554432")
def a_file_that_is_said_to_be_huge(folder):
    os.truncate(folder / "a.safetensors", 1 << 33)
    with editing(folder) as description:
        description["files"]["a.safetensors"]["bytes"] = 1 << 33


@refused("a.safetensors of the model package is damaged: its SHA256 is not the one described")
def one_bit_that_tipped(folder):
    content = bytearray((folder / "a.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "a.safetensors").write_bytes(content)


@refused("card.md of the model package is damaged: its SHA256 is not the one described")
def a_card_that_was_edited(folder):
    (folder / "card.md").write_text("A cord.")


@refused(NOT_SAFETENSORS)
def a_pickle_by_another_name(folder):
    class Harmful:
        def __reduce__(self) -> tuple:
            return (open, (str(folder / "was-run"), "w"))

    put(folder, "a.safetensors", pickle.dumps(Harmful()))


@refused(NOT_SAFETENSORS)
def torchs_own_archive_by_another_name(folder):
    torch.save(small_state(1), folder / "archive")
    put(folder, "a.safetensors", (folder / "archive").read_bytes())


@refused(NOT_SAFETENSORS)
def a_zip_bomb_by_another_name(folder):
    with zipfile.ZipFile(folder / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(50_000_000))
    put(folder, "a.safetensors", (folder / "bomb").read_bytes())


@refused(NOT_SAFETENSORS)
def a_header_that_is_longer_than_the_file(folder):
    put(folder, "a.safetensors", struct.pack("<Q", 1 << 60) + b"{}")


@refused(NOT_SAFETENSORS)
def a_header_that_is_a_list(folder):
    put(folder, "a.safetensors", struct.pack("<Q", 2) + b"[]")


@refused(NOT_SAFETENSORS)
def a_header_of_brackets(folder):
    put(folder, "a.safetensors", struct.pack("<Q", 100_000) + b"[" * 100_000)


@refused(NOT_SAFETENSORS)
def a_file_of_three_bytes(folder):
    put(folder, "a.safetensors", b"abc")


@refused("hold values that are no numbers")
def a_weight_that_is_no_number(folder):
    put_weights(folder, head_bias=np.array([0, np.nan], np.float32))


@refused("hold values that are no numbers")
def an_infinite_weight(folder):
    put_weights(folder, head_bias=np.array([0, np.inf], np.float32))


@refused("have not the shapes of the network that the description names")
def a_weight_of_another_shape(folder):
    put_weights(folder, head_bias=np.zeros(3, np.float32))


@refused("have not the shapes of the network that the description names")
def a_weight_of_another_type(folder):
    put_weights(folder, head_bias=np.zeros(2, np.float64))


@refused("are not those of the network that the description names")
def a_weight_too_few(folder):
    put_weights(folder, head_bias=None)


@refused("are not those of the network that the description names")
def a_weight_too_many(folder):
    put_weights(folder, backdoor=np.zeros(2, np.float32))


def put_offsets(folder: Path, offsets: Any) -> None:
    content = (folder / "a.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["head.bias"]["data_offsets"] = offsets
    changed = json.dumps(header).encode()
    put(folder, "a.safetensors", struct.pack("<Q", len(changed)) + changed + content[8 + size :])


@refused("overlap or leave gaps")
def weights_that_overlap(folder):
    put_offsets(folder, [40, 48])


@refused("are cut short or lie where they cannot")
def weights_before_the_file(folder):
    put_offsets(folder, [-8, 0])


@refused("are cut short or lie where they cannot")
def weights_beyond_the_file(folder):
    put_offsets(folder, [1 << 40, (1 << 40) + 8])


@refused("are cut short or lie where they cannot")
def weights_at_no_place(folder):
    put_offsets(folder, ["a", None])


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED)
def test_a_package_that_is_not_sound_is_refused_in_one_sentence(package_folder, spoil, sentence):
    spoil(package_folder)
    with pytest.raises(InputError, match=re.escape(sentence)) as raised:
        load_package(package_folder)
    assert raised.value.code == "bad-model"
    text = raised.value.text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 250
    assert str(package_folder.parent) not in text
    assert not (package_folder / "was-run").exists()


def test_many_packages_are_refused():
    assert len(REFUSED) >= 30


def test_what_changes_after_loading_is_refused_at_use(package_folder):
    found = load_package(package_folder)
    content = bytearray((package_folder / "a.safetensors").read_bytes())
    content[-1] ^= 1
    (package_folder / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="is damaged") as raised:
        found.weights("a")
    assert raised.value.code == "bad-model"


def test_a_file_that_is_not_listed_is_not_opened(package_folder, sound_package):
    (package_folder / ".DS_Store").write_bytes(b"\0")
    (package_folder / "thing.pkl").write_bytes(b"\0")
    assert load_package(package_folder).sha256 == sound_package.sha256
