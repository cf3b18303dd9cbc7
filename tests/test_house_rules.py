"""Rules of the house that no linter knows, read off the syntax trees of the sources."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "onelip").rglob("*.py"))
MOST_LINES = 400

# Sources whose test is elsewhere, and where. `__init__.py` is checked by test_public_api.py.
TESTED_ELSEWHERE: dict[str, str] = {}

# `onelip doctor` calls them in order to find out whether they are right on the user's machine.
MAY_CALL_LU = "experiments/doctor"
LU = {"solve", "inv", "lu", "lu_factor", "lu_factor_ex", "inv_ex", "solve_ex", "lu_solve", "det", "slogdet", "inverse"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "onelip").as_posix()


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_no_docstring_on_init() -> None:
    documented = [
        f"{_name(path)}:{function.lineno}"
        for path in SOURCES
        for function in _functions(_tree(path))
        if function.name == "__init__" and ast.get_docstring(function)
    ]
    assert not documented, f"__init__ has a docstring, which belongs on the class, in {documented}"


def test_no_long_file() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES}
    assert not long, f"more than {MOST_LINES} lines: {long}"


def test_no_drawer() -> None:
    drawers = [_name(p) for p in SOURCES if p.stem in ("utils", "util", "helpers", "helper", "misc", "common")]
    assert not drawers, f"named after nothing in particular: {drawers}"


def _twin(path: Path) -> Path:
    name = Path(TESTED_ELSEWHERE.get(_name(path), _name(path)))
    return ROOT / "tests" / (name if name.name.startswith("test_") else name.with_name(f"test_{name.name}"))


def test_every_source_has_a_test_twin() -> None:
    sources = [path for path in SOURCES if path.name not in ("__init__.py", "__main__.py")]
    missing = {_name(path): str(_twin(path).relative_to(ROOT)) for path in sources if not _twin(path).is_file()}
    assert not missing, f"{len(missing)} sources have no test twin: {missing}"


def test_no_exception_is_left_over() -> None:
    gone = [name for name in TESTED_ELSEWHERE if not (ROOT / "src" / "onelip" / name).is_file()]
    assert not gone, f"TESTED_ELSEWHERE names {gone}, which do not exist"
    twins = {name: ROOT / "tests" / Path(name).parent / f"test_{Path(name).name}" for name in TESTED_ELSEWHERE}
    needless = [name for name, twin in twins.items() if twin.is_file()]
    assert not needless, f"TESTED_ELSEWHERE names {needless}, which have a twin"


def _called_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def test_no_lu_factorisation() -> None:
    used = [
        f"{_name(path)}:{line} {name}"
        for path in SOURCES
        if not _name(path).startswith(MAY_CALL_LU)
        for line, name in _called_names(_tree(path))
        if name.rpartition(".")[2] in LU and name.startswith(("torch.", "np.linalg.", "numpy.linalg."))
    ]
    assert not used, f"wrong in batches in some builds of torch, use Cholesky, QR or SVD instead: {used}"


def test_imports_are_absolute_and_explicit() -> None:
    for path in SOURCES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"line {node.lineno} of {_name(path)} is a relative import"
                assert all(a.name != "*" for a in node.names), f"line {node.lineno} of {_name(path)} is a star import"


def _is_module_class(node: ast.ClassDef, known: set[str]) -> bool:
    return any(ast.unparse(base).rpartition(".")[2] in known for base in node.bases)


def _module_classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Every class of the package that derives, through the package's own classes, from nn.Module."""
    classes = [(p, n) for p in SOURCES for n in ast.walk(_tree(p)) if isinstance(n, ast.ClassDef)]
    known = {"Module", "Sequential", "LightningModule"}
    while True:
        found = {n.name for _, n in classes if _is_module_class(n, known)} - known
        if not found:
            return ((p, n) for p, n in classes if n.name in known)
        known |= found


def _unused_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = [a.arg for a in every if a is not None and a.arg != "self"]
    body = [n for statement in function.body for n in ast.walk(statement)]
    used = {n.id for n in body if isinstance(n, ast.Name)}
    return [name for name in names if name not in used]


def test_no_constructor_argument_is_ignored() -> None:
    checked = 0
    for path, node in _module_classes():
        for function in node.body:
            if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                unused = _unused_arguments(function)
                assert not unused, f"{node.name} in {_name(path)} never reads its arguments {unused}"
                checked += 1
    assert checked, "no module with a constructor was found, so this test checks nothing"


def test_every_layer_file_is_imported() -> None:
    package = ROOT / "src" / "onelip" / "layers"
    reached: set[str] = set()
    waiting = ["onelip.layers"]
    while waiting:
        name = waiting.pop()
        path = ROOT / "src" / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in reached or not path.is_file():
            continue
        reached.add(name)
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onelip.layers"):
                waiting += [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
    files = {"onelip." + _name(p).removesuffix(".py").replace("/", ".") for p in package.rglob("*.py")}
    missing = {f.removesuffix(".__init__") for f in files} - reached
    assert not missing, f"no import from onelip.layers reaches {sorted(missing)}, so their layers are not registered"


def _tracked_text_files() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        # A source archive has no git; then everything in it is checked.
        return [p for p in ROOT.rglob("*") if p.is_file() and not {".venv", ".git", "runs"} & set(p.parts)]
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_machine_path_in_the_repository() -> None:
    pattern = re.compile(r"/" + r"(root|work|home/\w+|Users/\w+)/[\w.]")
    found = []
    for path in _tracked_text_files():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in pattern.finditer(text)]
    assert not found, f"paths of one machine: {found[:5]}"


def test_rules_have_teeth(tmp_path: Path) -> None:
    """The helpers above see what they are meant to see."""
    tree = ast.parse(
        "import torch\nfrom torch.linalg import inv\n"
        "class A(torch.nn.Module):\n    def __init__(self, used, ignored):\n        '''Doc.'''\n        self.a = used\n"
        "x = torch.linalg.solve(a, b)\n"
    )
    (init,) = _functions(tree)
    assert _unused_arguments(init) == ["ignored"]
    assert ast.get_docstring(init) == "Doc."
    assert {name.rpartition(".")[2] for _, name in _called_names(tree)} & LU == {"solve", "inv"}
    assert _is_module_class(next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)), {"Module"})
