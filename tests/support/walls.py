"""The walls of the house, read from the syntax trees of a folder: a check yields its faults."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOMS = ("utils", "models", "tasks", "scripts")
# From the ground up; a place imports itself and what stands before it. Who adds one adds it here.
ORDER = """
utils.version utils.places utils.presets utils.checks utils.params utils.command_line utils.system
utils.video utils.features utils.rendering utils.data utils.scores utils.runs utils.clips
utils.fitting utils.signing utils.pictures utils.dataset_report
models.streams models.later models.design models.i3d_stages models.backbones models.choices
models.layers models.token_windows models.attention models.transformer models.heads models.vivit
models.timesformer models.i3d models.pretrained models.networks models.cutting models.dense
models.continual models.end_to_end models.language models.ctc models.rows models.recognizer
models.tvl1 models.flops models.explaining models.exporting
tasks.options tasks.training_flags tasks.plan tasks.idle tasks.job tasks.answers tasks.findings
tasks.export_subject tasks.features tasks.classification tasks.recognition tasks.training
tasks.predictors tasks.caution tasks.demonstration tasks.page_guard
training evaluate scripts
""".split()
ENTRY_POINTS = ("training", "evaluate", "scripts")
# What a room may import of the house; and neighbors that do not know each other.
FLOORS = {"utils": ("utils",), "models": ("models",), "tasks": ("utils", "models", "tasks")}
STRANGERS = [("tasks.classification", "tasks.recognition")]
# Where a library may be imported: nowhere else.
LIBRARIES = {
    "cv2": "utils.video utils.rendering scripts.benchmarks.reading",
    "av": "utils.video scripts.benchmarks.reading scripts.benchmarks.mutants",
    "tqdm": "utils.system.progress models.pretrained",
    "matplotlib": "utils.pictures utils.dataset_report",
    "keras": (
        "utils.scores.labelings utils.runs utils.clips utils.fitting models tasks training scripts"
    ),
    "tensorflow": (
        "utils.runs utils.fitting models.layers models.pretrained scripts.benchmarks.mutants"
    ),
}
# Networks are tensors in, tensors out. Weights come from files and the network.
TENSORS = {"keras", "numpy"} | set(
    "collections dataclasses functools importlib itertools math typing".split()
)
FILES_TOO = ("models.pretrained",)
# What figures are made of: no ways to do something. What measures needs no test of each row.
MATERIAL = ("COLORS", "HANDSHAPES", "ORIENTATIONS")
BENCHMARKS = "scripts.benchmarks"
PACKAGES_THAT_SET = ("models",)  # what TensorFlow reads when it is imported


class House:
    """The modules of a folder.

    Attributes:
        trees: {module: syntax tree}, packages too.
        packages: the set of those that are packages.
        tests: the syntax trees of the tests.
        imports: {module: the set of what it imports}.
        later: [(module, other, name of what it calls in that one)]: imported by the first call.
    """

    def __init__(self, root):
        root = Path(root)
        rooms = {*ROOMS, *(path.parent.name for path in root.glob("*/__init__.py"))} - {"tests"}
        files = [*root.glob("*.py"), *(p for room in rooms for p in (root / room).rglob("*.py"))]
        self.trees, self.packages = {}, set()
        for path in sorted(files):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
                self.packages.add(".".join(parts))
            self.trees[".".join(parts)] = ast.parse(path.read_text())
        self.tests = [ast.parse(p.read_text()) for p in sorted((root / "tests").rglob("*.py"))]
        self.imports = {module: {*self._list_imports(module)} for module in self.trees}
        self.later = [row for module in self.trees for row in self._list_later(module)]

    def _list_imports(self, module):
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self.find_source(module, node)
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in self.trees else source

    def _list_later(self, module):
        """Yield (module, other, name) of each `later(other, name)`, which imports no earlier."""
        constants = {
            ast.unparse(node.targets[0]): node.value.value
            for node in self.trees[module].body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "later":
                other, name = (getattr(each, "value", None) for each in node.args)
                yield module, other or constants[ast.unparse(node.args[0])], name

    def find_source(self, module, node):
        """Return the module that an `import from` imports from, by its whole name."""
        if not node.level:
            return node.module
        up = node.level - (module in self.packages)
        parts = module.split(".")
        return ".".join([*parts[: len(parts) - up], *filter(None, [node.module])])

    def list_arrows(self):
        """Yield (module, module of the house that it imports)."""
        for module, imported in self.imports.items():
            yield from ((module, other) for other in sorted(imported & set(self.trees)))

    def list_all_arrows(self):
        """Yield (module, module of the house that it imports now or later)."""
        yield from self.list_arrows()
        yield from ((module, other) for module, other, _ in self.later if other in self.trees)


def is_in(module, place):
    """Whether a module is a place (a package, a module) or in it."""
    return f"{module}.".startswith(f"{place}.")


def find_place(module):
    """Return a module's place in `ORDER`, None for none."""
    return next((place for place in ORDER if is_in(module, place)), None)


def find_unlisted(house):
    """Modules and packages without a place."""
    for module in house.trees:
        if module not in ROOMS and not find_place(module):
            yield f"{module} is not on the list of places"


def find_gone(house):
    """Places without a module."""
    for place in ORDER:
        if place not in house.trees:
            yield f"{place} is on the list of places and not there"


def find_upward(house):
    """Imports of a higher place."""
    for module, other in house.list_arrows():
        here, there = find_place(module), find_place(other)
        if here and there and ORDER.index(there) > ORDER.index(here):
            yield f"{module} imports {other}, which is higher"


def find_strangers(house):
    """Imports between what does not know each other."""
    apart = [*STRANGERS, *((b, a) for a, b in STRANGERS)]
    for module, other in house.list_all_arrows():
        floor = FLOORS.get(module.split(".")[0])
        strange = any(is_in(module, a) and is_in(other, b) for a, b in apart)
        if strange or (floor and other.split(".")[0] not in (*floor, *ENTRY_POINTS)):
            yield f"{module} imports {other}, which it does not know"


def find_entry_points(house):
    """Imports of what is run; the parts of one room of scripts know each other."""
    for module, other in house.list_all_arrows():
        room = module.rpartition(".")[0]
        if find_place(other) in ENTRY_POINTS and not (room.count(".") and is_in(other, room)):
            yield f"{module} imports {other}, an entry point"


def find_lost(house):
    """Names that are imported later and are not there."""
    for module, other, name in house.later:
        body = house.trees[other].body if other in house.trees else ()
        if other.split(".")[0] in ROOMS and name not in {getattr(n, "name", "") for n in body}:
            yield f"{module} takes {name} of {other}, which has none"


def find_circles(house):
    """Modules and places that import each other in a circle."""
    modules, places = {}, {}
    for module, other in house.list_arrows():
        modules.setdefault(module, set()).add(other)
        here, there = find_place(module), find_place(other)
        if here != there:
            places.setdefault(here, set()).add(there)
    for graph in (modules, places):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield f"a circle: {' < '.join(map(str, error.args[1]))}"


def find_libraries(house):
    """Imports of a library where it does not belong."""
    for module, imported in house.imports.items():
        names = {name.split(".")[0] for name in imported}
        for library in names & set(LIBRARIES):
            if not any(is_in(module, place) for place in LIBRARIES[library].split()):
                yield f"{module} imports {library}"
        files_too = module in PACKAGES_THAT_SET or any(is_in(module, p) for p in FILES_TOO)
        if is_in(module, "models") and not files_too:
            others = names - TENSORS - set(ROOMS) - set(LIBRARIES)
            yield from (f"{module} imports {name}" for name in sorted(others))


def find_private(house):
    """Private names of other modules."""
    for module, tree in house.trees.items():
        known = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                known |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                source = house.find_source(module, node)
                for alias in node.names:
                    known[alias.asname or alias.name] = f"{source}.{alias.name}"
                    if source in house.trees and alias.name.startswith("_"):
                        yield f"{module} imports {alias.name} of {source}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                source = known.get(ast.unparse(node.value))
                if source in house.trees:
                    yield f"{module} uses {node.attr} of {source}"


def find_full_packages(house):
    """Packages with something in their `__init__.py`: one import path a name."""
    for package in sorted(house.packages - set(PACKAGES_THAT_SET)):
        if house.trees[package].body:
            yield f"{package}/__init__.py is not empty"


def find_undocumented(house):
    """Modules, and public functions and classes of theirs, without a docstring."""
    for module, tree in house.trees.items():
        if tree.body and not ast.get_docstring(tree):
            yield f"{module} has no docstring"
        for node in tree.body:
            defined = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if defined and not node.name.startswith("_") and not ast.get_docstring(node):
                yield f"{module}.{node.name} has no docstring"


def list_tables(tree):
    """Yield (table, the names of its rows) of a module: dicts, and tuples of functions."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        if not name.isupper() or name.startswith("_") or name in MATERIAL:
            continue
        if isinstance(node.value, ast.Dict):
            keys = [getattr(key, "value", None) for key in node.value.keys]
            yield name, [key for key in keys if isinstance(key, str) and key]
        elif isinstance(node.value, ast.Tuple | ast.List):
            rows = [getattr(row, "id", None) for row in node.value.elts]
            yield name, [row for row in rows if row in functions]


def _list_names(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute):
            yield part.id if isinstance(part, ast.Name) else part.attr


def _read_tests(tests):
    """Return (all strings and names in tests, the names of what they go through row by row)."""
    words, whole = [], set()
    nodes = [node for tree in tests for node in ast.walk(tree)]
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if node in docstrings:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.append(node.value)
        elif isinstance(node, ast.Name | ast.Attribute):
            words.append(getattr(node, "id", None) or node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parametrize"):
            whole |= {*_list_names(node)}
        elif isinstance(node, ast.For | ast.comprehension):
            whole |= {*_list_names(node.iter)}
    return "\n".join(words), whole


def find_untested(house):
    """Rows of tables that no test names; tests that go through a table name all of its rows."""
    words, whole = _read_tests(house.tests)
    for module, tree in house.trees.items():
        for table, rows in () if is_in(module, BENCHMARKS) else list_tables(tree):
            for row in rows if table not in whole else ():
                begin = r"(?<!\w)" if re.match(r"\w", row) else ""
                if not re.search(rf"{begin}{re.escape(row)}(?!\w)", words):
                    yield f"no test names {row!r} of {table} in {module}"


CHECKS = (
    find_unlisted,
    find_gone,
    find_upward,
    find_strangers,
    find_entry_points,
    find_lost,
    find_circles,
    find_libraries,
    find_private,
    find_full_packages,
    find_undocumented,
    find_untested,
)
