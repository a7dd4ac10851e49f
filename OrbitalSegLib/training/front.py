"""The front door of training: the words of its commands. What they do stands in `commands`, and is imported late."""

import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from OrbitalSegLib.errors import InputError, OrbitalSegError

if TYPE_CHECKING:
    from OrbitalSegLib.training.commands import Means

Tell = Callable[[str], None]
Stop = Callable[[], bool]

PANEL = "Training"
"""Under which `orbitalseg --help` lists them."""

console = Console()
errors = Console(stderr=True)

LEARN = ("torch", "scipy", "matplotlib", "safetensors", "openvino")
"""Packages of the extra `learn`."""


class Device(StrEnum):
    """What learns, or runs networks."""

    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"
    auto = "auto"


def _one_or_more(workers: int | None) -> int | None:
    if workers is not None and workers < 1:
        raise typer.BadParameter("give 1 or more processes, or leave it out: then there are none but this one")
    return workers


Output = Annotated[Path, typer.Option("--output", "-o", help="The folder to work in: empty, or of the same command.")]
Config = Annotated[str, typer.Argument(help="A preset (orbitalseg, iso-3532-2, ekman-2025), or a TOML file.")]
Network = Annotated[list[str] | None, typer.Option(help="Only this one; several may be given.", show_default="all")]
Steps = Annotated[int | None, typer.Option(min=1, help="Another number of steps.", show_default="the configuration's")]
DeviceOption = Annotated[Device, typer.Option("--device", help="What learns, or runs the networks.")]
Workers = Annotated[
    int | None,
    typer.Option(
        callback=_one_or_more,
        help="Processes that draw patches ahead (a fast device needs some), or make heads.",
        show_default="none",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="Of the processor.")]
Scans = Annotated[Path | None, typer.Option(help="A TOML file that lists development scans, which are judged as well.")]


def templates(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to put them in.")],
    data: Annotated[
        Path | None, typer.Option(help="A folder with skull-template/ or visible-human-female/, for their templates.")
    ] = None,
    anatomy: Annotated[
        list[Path] | None, typer.Option(help="A folder of one's own anatomy, with seeds.json and skull.nrrd.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace templates of the same name.")] = False,
    threads: Threads = 1,
) -> None:
    """Build templates of anatomy, from which cases are made: the phantom's, and those of data. Two minutes each."""

    def work(means: "Means", tell: Tell, _stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        commands.make_templates(output, data, anatomy or [], force, means, tell)

    _do(work, threads=threads)


def synthesize(
    template: Annotated[list[Path], typer.Argument(help="Folders of templates, which are taken in turn.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of cases; more may be added to it.")],
    count: Annotated[int, typer.Option(min=1, help="How many cases.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="Of the first case; every other one has the next.")] = 0,
    truth: Annotated[bool, typer.Option("--truth", help="Add the bone on a grid of 0.2 mm.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(callback=_one_or_more, help="Processes that make cases.", show_default="none but this one"),
    ] = None,
    threads: Threads = 1,
) -> None:
    """Make synthetic cases, CT with exact truth, by physics and chance. What was stopped goes on."""

    def work(means: "Means", tell: Tell, stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        seeds = range(first_seed, first_seed + count)
        commands.synthesize(template, output, seeds, truth, means, tell, stop)

    _do(work, workers=workers, threads=threads)


def train(
    config: Annotated[
        str,
        typer.Argument(
            help="A preset (orbitalseg, iso-3532-2, ekman-2025), or a TOML file: a configuration of networks or of "
            "walls, or a package's recipe."
        ),
    ],
    output: Output,
    cases: Annotated[
        list[Path] | None, typer.Option(help="A folder of cases, made by synthesis or image with label.")
    ] = None,
    network: Network = None,
    steps: Steps = None,
    like: Annotated[
        Path | None, typer.Option(help="The folder of an earlier training whose losses are to come again.")
    ] = None,
    templates: Annotated[Path | None, typer.Option(help="Of walls: the folder of templates.")] = None,
    data: Annotated[Path | None, typer.Option(help="Of a recipe: the folder from which templates are built.")] = None,
    device: DeviceOption = Device.cpu,
    workers: Workers = None,
    threads: Threads = 1,
) -> None:
    """Train networks on cases. What was stopped goes on with the same command, bit by bit as if it had not been."""

    def work(means: "Means", tell: Tell, stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        given = {"cases": cases, "network": network, "like": like, "templates": templates, "data": data}
        commands.train(config, output, given, steps, means, tell, stop)

    _do(work, device, workers, threads)


def validate(
    config: Config,
    run: Annotated[Path, typer.Option(help="The folder that `train` wrote.")],
    cases: Annotated[Path, typer.Option(help="A folder of cases, none of which was trained on.")],
    output: Output,
    network: Network = None,
    step: Annotated[
        list[int] | None, typer.Option(help="Only the weights of this step.", show_default="all that were kept")
    ] = None,
    scans: Scans = None,
    device: DeviceOption = Device.cpu,
    threads: Threads = 1,
) -> None:
    """Judge the checkpoints of a training: a table of figures, and which is the best."""

    def work(means: "Means", tell: Tell, stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        commands.validate(config, run, cases, output, network or [], scans, step or [], means, tell, stop)

    _do(work, device, threads=threads)


def select(
    config: Annotated[Path, typer.Argument(help="A TOML file: candidates, networks, and the folders of the sets.")],
    output: Output,
    again: Annotated[bool, typer.Option("--again", help="Look at a test set that was opened before.")] = False,
    device: DeviceOption = Device.cpu,
    workers: Workers = None,
    threads: Threads = 1,
) -> None:
    """Choose a model in the eight steps of ISO/IEC 3532-2, 10.1; the test set is opened once."""

    def work(means: "Means", tell: Tell, stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        commands.select(config, output, again, means, tell, stop)

    _do(work, device, workers, threads)


def finetune(
    package: Annotated[str, typer.Argument(help="A model package's folder, or the name of a shipped one.")],
    data: Annotated[Path, typer.Argument(help="A folder of cases: image and label each.")],
    output: Output,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Cases that are not learnt from, to judge by.", show_default="a fifth of the patients"),
    ] = None,
    config: Annotated[str, typer.Option(help="A preset or a TOML file.")] = "finetune",
    steps: Steps = None,
    device: DeviceOption = Device.cpu,
    workers: Workers = None,
    threads: Threads = 1,
) -> None:
    """Train a package's networks further on own data, to a new package, and say whether that is better."""

    def work(means: "Means", tell: Tell, stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        commands.finetune(package, config, data, output, held_out, steps, means, tell, stop)

    _do(work, device, workers, threads)


def package(
    config: Annotated[str, typer.Argument(help="The configuration or recipe of the training.")],
    run: Annotated[Path, typer.Option(help="The folder that `train` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The package to make, a folder.")],
    cases: Annotated[
        Path | None, typer.Option(help="Cases by which checkpoint and limits are chosen, none of them trained on.")
    ] = None,
    network: Network = None,
    scans: Scans = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the last checkpoints the choice is among.")] = 2,
    name: Annotated[str | None, typer.Option(help="Of the package.", show_default="the configuration's")] = None,
    version: Annotated[str | None, typer.Option(help="Of the package.", show_default="1.0.0")] = None,
    licence: Annotated[str | None, typer.Option(help="Under which it may be used: an SPDX expression.")] = None,
    use: Annotated[str | None, typer.Option(help="What it is meant for, in a sentence.")] = None,
    card: Annotated[Path | None, typer.Option(help="A text file for people: where it is from, where it fails.")] = None,
    commit: Annotated[str | None, typer.Option(help="Of the program that trained it, for its provenance.")] = None,
    machine: Annotated[str | None, typer.Option(help="That trained it, for its provenance.")] = None,
    device: DeviceOption = Device.cpu,
    threads: Threads = 1,
) -> None:
    """Make a model package of a training's best checkpoints, which `orbitalseg segment --model` and the panel run."""

    def work(means: "Means", tell: Tell, _stop: Stop) -> None:
        from OrbitalSegLib.training import commands

        named = {"name": name, "version": version, "licence": licence, "use": use}
        stated = commands.stated(card, commit, machine)
        commands.make_package(config, run, output, cases, network or [], scans, last, stated, named, means, tell)

    _do(work, device, threads=threads)


COMMANDS: tuple[Callable[..., None], ...] = (templates, synthesize, train, validate, select, finetune, package)
"""In the order in which a model comes to be."""


def mount(app: typer.Typer) -> None:
    """Make them commands of a program."""
    for command in COMMANDS:
        app.command(rich_help_panel=PANEL)(command)


def _do(
    work: Callable[["Means", Tell, Stop], None],
    device: Device = Device.cpu,
    workers: int | None = None,
    threads: int = 1,
) -> None:
    """Do long work in this process: its lines as they come. Ctrl+C asks it to write what it has and end."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _frame: asked.append(caught))
    try:
        from OrbitalSegLib.training.commands import Means

        means = Means(device.value, workers, threads)
        work(
            means, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True), lambda: bool(asked)
        )
    except ModuleNotFoundError as missing:
        if missing.name not in LEARN:
            raise
        errors.print("[red]Error:[/] Training needs more packages: pip install 'orbitalseg\\[learn]'.", soft_wrap=True)
        raise typer.Exit(InputError.exit_code) from missing
    except OrbitalSegError as error:
        errors.print(f"[red]Error:[/] {escape(error.text)}", soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
