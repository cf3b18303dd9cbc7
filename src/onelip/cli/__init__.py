"""The command line: arguments in, calls out, nothing else."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from onelip.cli.budget import budget
from onelip.cli.convert import convert
from onelip.cli.measure import measure
from onelip.cli.sweep import sweep
from onelip.cli.tables import tables
from onelip.experiments.errors import CommandFailedError, UserError, describe_os_error

USER_MISTAKE = 2

app = typer.Typer(
    name="onelip",
    help="Train networks with a proved Lipschitz constant, certify them, and check the certificates.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

bench = typer.Typer(help="Measure layers on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench, name="bench")
app.command(name="sweep")(sweep)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, such as runs/digits/20260102-120000.")]


Place = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODULE:FACTORY",
        help="Folder of a run; or package.module:factory, a network of your own or a function that builds it, looked "
        "for in the current folder, too.",
    ),
]
InputShape = Annotated[
    str | None, typer.Option(metavar="3,32,32", help="Shape of one input of a network of your own, without the batch.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="WHICH", help="best (default) or last of a run; of your own network a .safetensors or .pt file."
    ),
]


@app.command()
def train(
    experiment: Annotated[
        str,
        typer.Argument(
            help="Name of a configuration (see: onelip list configs) or path of a YAML file; with --resume, "
            "the folder of a run or the name of an experiment, whose latest run is continued."
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as trainer.max_epochs=5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run to the same numbers.")] = False,
) -> None:
    """Train, certify and attack a classifier, and write a report; or bound a distance, or train a GAN.

    Everything goes into a new folder RUNS_DIR/NAME/STAMP; the test images are used only after the training.

    Examples: onelip train wasserstein-cones; onelip train gan-digits critic=wgan-gp;
    onelip train cifar10 model=convnet-xs layer=aoc trainer.max_epochs=5 data.dir=PATH
    """
    from onelip.experiments import commands

    commands.train(experiment, overrides or [], resume=resume)


@app.command()
def certify(
    run_folder: Run,
    relaxation: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Certify by linear relaxation, too: crown, kw, crown-ibp or ibp."),
    ] = None,
) -> None:
    """Prove the constant of a run's best weights and certify the test images.

    Writes certificate.json, weights.safetensors, architecture.json and samples.safetensors, and renews results.json;
    with --relaxation, relaxation.json as well.
    """
    from onelip.experiments import commands

    commands.certify(run_folder, relaxation=relaxation)


@app.command()
def verify(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A certificate.json, or the folder that holds one.")],
    paranoid: Annotated[
        bool, typer.Option("--paranoid", help="Prove it once more, in ball arithmetic (needs the extra rigorous).")
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Samples for --paranoid, spread evenly; by default what about a minute allows."),
    ] = None,
) -> None:
    """Prove a certificate again from its files alone, with code that shares nothing with the training."""
    from onelip.experiments import verification

    verification.verify(path, paranoid=paranoid, samples=samples)


@app.command()
def attack(
    run_folder: Run,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Options of the attack, such as overshoot=0.05; see docs/attacks.md."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--attack",
            metavar="NAME",
            help="pgd, apgd, apgd-ce, apgd-t, fgsm, bim, mim, autoattack, cw, deepfool, ddn, fmn, boundary, "
            "hopskipjump, pointwise, or break; else the configuration's.",
        ),
    ] = None,
    norm: Annotated[str | None, typer.Option(help="l2 or linf; by default that of the certificate.")] = None,
    radii: Annotated[
        list[str] | None,
        typer.Option(
            "--eps",
            "--radius",
            metavar="R",
            help="Such as 0.5, 8/255, 1/255,2/255 or the range 0:1:0.1, of pixels in [0, 1]; may be repeated.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, gradient steps of each restart mostly.")] = None,
    restarts: Annotated[int | None, typer.Option(min=1, help="Random starts for each image.")] = None,
    samples: Annotated[
        str | None, typer.Option(metavar="N|all", help="How many images to attack; 0 or all for every one.")
    ] = None,
    step_size: Annotated[
        str | None, typer.Option(help="Length of a step, such as 2/255; by default 2.5 radius / steps.")
    ] = None,
    random_start: Annotated[
        bool | None, typer.Option("--random-start/--first-at-the-image", help="Where the first start of pgd is.")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Of cw: by how much another class is to lead.")] = None,
    binary_search_steps: Annotated[int | None, typer.Option(min=1, help="Of cw: how many constants to try.")] = None,
    initial_const: Annotated[float | None, typer.Option(help="Of cw: the first constant.")] = None,
) -> None:
    """Attack the network of a run, certified or not; options default to the run's configuration.

    pgd, apgd-ce, apgd-t (APGD on cross-entropy and targeted), apgd (all three, one after the other), fgsm, bim, mim and
    autoattack search balls of fixed radii; cw, deepfool, ddn, fmn, boundary, hopskipjump and pointwise look for the
    nearest misclassified points. The attack of the configuration writes attack.json, any other one
    attack-NAME-NORM.json, and each of them attack-NAME-NORM.csv with a row for each image and attack-NAME-NORM.png.
    break tries everything to contradict the certificate, inside of each image's own radius, and writes break.json. Exit
    code 1, and the number of the image, if a certified answer is changed.

    Example: onelip attack runs/digits/20260102-120000 --attack pgd --norm linf --eps 1/255:8/255:1/255 --samples all
    """
    from onelip.experiments import commands

    commands.attack(
        run_folder,
        kind=kind,
        settings=settings or None,
        norm=norm,
        radii=radii,
        steps=steps,
        restarts=restarts,
        samples=samples if samples is None or not samples.isdecimal() else int(samples),
        step_size=step_size,
        random_start=random_start,
        confidence=confidence,
        binary_search_steps=binary_search_steps,
        initial_const=initial_const,
    )


@app.command()
def spectrum(
    place: Place,
    k: Annotated[int, typer.Option("--k", min=1, help="How many singular values of each layer.")] = 1,
    joint: Annotated[
        bool, typer.Option("--joint", help="Take a convolution and the batch normalisation behind it as one map.")
    ] = False,
    input_shape: InputShape = None,
    weights: Weights = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="table, md, csv or json; by default what FILE ends in, or a table.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write there instead of printing; a picture if it ends in .png, .svg or .pdf."
        ),
    ] = None,
) -> None:
    """Measure the largest singular values of every layer of a network, at its true input size.

    They are estimates, to a thousandth, and not proved. A run keeps them in spectrum.csv and spectrum.png.

    Example: onelip spectrum my_models.resnet:build --input-shape 3,32,32 --weights resnet.pt --out spectrum.csv
    """
    from onelip.experiments.spectrum_command import show_spectrum

    show_spectrum(place, k=k, joint=joint, input_shape=input_shape, weights=weights, format_name=format_name, out=out)


@app.command()
def clip(
    place: Place,
    max_norm: Annotated[float, typer.Option(metavar="C", help="Bound of the norm of each layer.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="A new .safetensors file for the clipped weights.")],
    method: Annotated[str, typer.Option(metavar="M", help="fastclip, exact-dense, fft or scale.")] = "fastclip",
    batch_norm: Annotated[
        str,
        typer.Option(
            metavar="MODE", help="keep batch normalisations, clip them, or bound each joint with the layer before it."
        ),
    ] = "keep",
    input_shape: InputShape = None,
    weights: Weights = None,
) -> None:
    """Clip the singular values of every layer of a network, and write the weights into a new file.

    Prints the norm of each layer before and after; for a run, the accuracy on the validation images, too. Neither the
    run nor any other file is changed.

    Example: onelip clip my_models.resnet:build --max-norm 1 --input-shape 3,32,32 --out clipped.safetensors
    """
    from onelip.experiments.clip_command import clip_network

    clip_network(
        place,
        max_norm=max_norm,
        method=method,
        batch_norm=batch_norm,
        input_shape=input_shape,
        weights=weights,
        out=out,
    )


@app.command()
def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUNS...", help="Folder of a run; or several, or folders that hold runs, such as runs."),
    ],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the page over several runs goes, else overview.html."),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Heading of the page over several runs.")] = None,
    measurements: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What onelip bench measure wrote: scores of methods are drawn as a radar."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw the figures as .png and .svg, too, into pictures beside the page.")
    ] = False,
) -> None:
    """Write report.html from what a run has recorded, or one page over many runs.

    Of one run it has everything that was measured; --pictures draws what it shows of robustness. Of several it is
    a table that is sorted and filtered in the browser, with curves on top of each other; failed runs are rows with
    their error.

    Examples: onelip report runs/digits/20260102-120000; onelip report runs; onelip report runs/a runs/b --out ab.html
    """
    from onelip.experiments import inspection

    inspection.report_all(runs, out=out, title=title, measurements=measurements, pictures=pictures)


@app.command(name="list")
def list_parts(
    kind: Annotated[str | None, typer.Argument(help="One kind, such as layers; all by default.")] = None,
) -> None:
    """List what can be named in a configuration: layers, activations, models, data, losses, configs, ..."""
    from onelip.experiments import listing

    listing.show(kind)


@app.command(name="data")
def data_sets(
    name: Annotated[str | None, typer.Argument(help="A data set; without one, all are listed.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Options of its loader, such as extra=true.")
    ] = None,
    dir: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where its files are; else downloaded once, if it has a home.")
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every image of a data set that is streamed from disk, too.")
    ] = False,
) -> None:
    """Load a data set, downloaded if need be, check it, and show what is in it; or list all data sets.

    Prints parts, counts, shape, classes and their balance, mean and deviation of pixels, and where the files are.
    Exit code 2 and one line if a file is missing, broken or not what it should be.

    Example: onelip data svhn extra=true
    """
    from onelip.experiments.data_command import show_data

    show_data(name, dir=dir, options=options or [], decode=decode)


@app.command()
def doctor() -> None:
    """Check this machine's linear algebra, FFT and threads, and say what is broken.

    Some builds of torch give wrong results without a warning on some processors. Exit code 1 if a check fails.
    """
    from onelip.experiments import inspection

    inspection.doctor()


@bench.command(name="layers")
def bench_layers(
    kind: Annotated[str, typer.Option(help="conv2d, conv_transpose2d, conv1d or linear.")] = "conv2d",
    methods: Annotated[str | None, typer.Option(metavar="A,B", help="Only these; all of the kind by default.")] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels or features, of input and output.")] = 64,
    kernel: Annotated[int | None, typer.Option(min=1, help="Side of the kernel, odd; 3 by default.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the images; 32 by default.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Inputs in a batch.")] = 32,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    repeats: Annotated[int, typer.Option(min=1, help="Timed steps of each layer; the median counts.")] = 10,
    format_name: Annotated[str, typer.Option("--format", help="table, md, json or csv.")] = "table",
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Write there instead of printing.")] = None,
) -> None:
    """Measure every registered layer beside the plain layer of its shape.

    Parameters, time of a training step and of an evaluation, peak memory, extreme singular values and proved bound.
    The number of threads is that of OMP_NUM_THREADS.

    Example: onelip bench layers --methods aoc,aol --channels 32
    """
    from onelip.experiments import bench as benchmark

    benchmark.bench_layers(
        kind=kind,
        methods=methods,
        channels=channels,
        kernel=kernel,
        size=size,
        batch=batch,
        device=device,
        repeats=repeats,
        format_name=format_name,
        out=out,
    )


app.command(name="tables")(tables)
bench.command(name="budget")(budget)
bench.command(name="measure")(measure)
app.command(name="convert")(convert)


def main() -> None:
    """Run the command line; a user's mistake ends in one line on standard error and exit code 2.

    What the operating system refuses midway, as a full disk does, ends in one line and exit code 1.
    """
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"onelip: {error}\n")
        sys.exit(USER_MISTAKE)
    except CommandFailedError as error:
        sys.stderr.write(f"onelip: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        # A full disk, say: the work up to the last whole file is there.
        sys.stderr.write(f"onelip: {describe_os_error(error)}\n")
        sys.exit(1)
