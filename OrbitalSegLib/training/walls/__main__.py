"""The trainings of `walls`, from the command line. Both commands go on until they are stopped, and where they were.

python -m OrbitalSegLib.training.walls heads CONFIG --work FOLDER --templates TEMPLATES
python -m OrbitalSegLib.training.walls train CONFIG --work FOLDER
"""

import argparse
import signal
import time
from pathlib import Path

import torch

from OrbitalSegLib.training.walls import heads
from OrbitalSegLib.training.walls.config import load
from OrbitalSegLib.training.walls.evidence import EvidenceLesson
from OrbitalSegLib.training.walls.training import train
from OrbitalSegLib.training.walls.volume import VolumeLesson


def main() -> None:
    """Make heads, or train on them."""
    parser = argparse.ArgumentParser(
        prog="python -m OrbitalSegLib.training.walls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["heads", "train"])
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of heads and checkpoints")
    parser.add_argument("--templates", type=Path, help="folder of template folders, for heads")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: asked.append(caught))

    def stop() -> bool:
        return bool(asked)

    walls = load(given.config)
    if given.command == "heads":
        heads.make(walls, given.templates, given.work, stop)
        return
    volume, evidence = VolumeLesson(walls), EvidenceLesson(walls)
    while not stop():
        train(walls, volume, given.work, walls.checkpoint_steps, _tell, stop)
        train(walls, evidence, given.work, walls.checkpoint_steps * walls.evidence.steps_each, _tell, stop)


def _tell(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    main()
