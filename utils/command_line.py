"""Command lines: flags from the fields of dataclasses, help, and errors of one sentence."""

import ast
import contextlib
import dataclasses
import difflib
import functools
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from utils.places import find_path

import docstring_parser
import tyro
from tyro import _errors  # not public: the version is pinned, tests/test_command_line.py tells

# What a flag takes, in words.
_KINDS = {"INT": "a whole number", "FLOAT": "a number"}
_CONFIG = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.DisallowNone,
    tyro.conf.PositionalMetavarFromFieldName,
)
_SWITCHES = {True: "on", False: "off"}


def _targets(node):
    return node.targets if isinstance(node, ast.Assign) else ()


def list_commands(folder):
    """Return {module: the first sentence of its docstring} of the commands in a folder.

    Nothing is imported. A module with a `COMMAND` is a command.
    """
    trees = {path.stem: ast.parse(path.read_text()) for path in sorted(Path(folder).glob("*.py"))}
    return {
        name: ast.get_docstring(tree).splitlines()[0].split(": ")[0].rstrip(".")
        for name, tree in trees.items()
        if "COMMAND" in {getattr(name, "id", "") for node in tree.body for name in _targets(node)}
    }


def format_commands(commands, package):
    """Return the lines of a list of commands, {module: sentence}."""
    width = max(map(len, commands)) + len(package) + 11
    return [f"  {f'python -m {package}.{name}':<{width}}  {say}" for name, say in commands.items()]


def pick_fields(params, kind):
    """Make a dataclass of settings from the parameters that have its fields' names."""
    return kind(**{field.name: getattr(params, field.name) for field in dataclasses.fields(kind)})


def name_flag(name):
    """Return the flag of a field."""
    return f"--{name.replace('_', '-')}"


def read_flag(word):
    """Return the flag that a word of a command line gives, without its value."""
    return word.split("=")[0].replace("_", "-")


def suggest(name, known):
    """Return ". Did you mean X?" with the most similar of the known names, or "." for none."""
    similar = difflib.get_close_matches(name, list(known), n=1)
    return f". Did you mean {similar[0]}?" if similar else "."


def _refuse_word(given, known, elsewhere):
    flag = read_flag(given)
    if flag in elsewhere:
        return f"{flag} {elsewhere[flag]}"
    if flag.startswith("-"):
        return f"Unknown flag {flag}{suggest(flag, known)} --help lists all flags."
    return f"No flag takes the value {given!r}. --help lists all flags."


def _refuse_unknown(event, known, elsewhere):
    return _refuse_word(event.tokens[0], known, elsewhere)


def _say_missing(argument):
    usage = argument.get_invocation_text()[1].as_str_no_ansi()
    text = argument.field.helptext.split(". ")[0].rstrip(".")
    return f"{usage} is missing: {text}. --help lists all flags."


def _refuse_gap(event, known, elsewhere):
    if event.unrecognized_tokens:
        return _refuse_word(event.unrecognized_tokens[0], known, elsewhere)
    return _say_missing(event.missing_arguments[0].arg)


def _list_choices(argument):
    choices = argument.lowered.choices
    return f" Possible: {', '.join(filter(None, choices))}." if choices else ""


def _refuse_choice(event, known, elsewhere):
    name, hint = event.argument.display_name(), suggest(event.value, event.choices)
    return f"Unknown {name} {event.value}{hint}{_list_choices(event.argument)}"


def _refuse_count(event, known, elsewhere):
    if event.argument.is_positional():
        return _say_missing(event.argument)
    name, count = event.argument.display_name(), event.argument.lowered.nargs
    values = "a value" if count == 1 else f"{count} values"
    return f"{name} takes {values}.{_list_choices(event.argument)}"


def _refuse_kind(event, known, elsewhere):
    name, kinds = event.argument.display_name(), event.argument.lowered.metavar.split()
    expected = f"{len(kinds)} values" if len(kinds) > 1 else _KINDS.get(kinds[0], kinds[0])
    given = re.search("'.*'", event.message)
    return f"{name} takes {expected}, not {given[0] if given else event.message}."


# What tyro refuses: function (event, known flags, {flag: why it is refused}) -> a sentence.
_REFUSALS = {
    _errors.UnrecognizedArgs: _refuse_unknown,
    _errors.MissingArgs: _refuse_gap,
    _errors.InvalidChoice: _refuse_choice,
    _errors.BadValue: _refuse_count,
    _errors.InstantiationFailure: _refuse_kind,
}


def _describe(field, text, choices, default):
    """Return a field of `make_dataclass`: how tyro shows and reads a field."""
    kind, settings = field.type, {"help": text}
    choices = choices or (get_args(kind) if get_origin(kind) is Literal else ())
    if choices:
        kind = Literal[tuple(choices)]
        if default not in choices:
            default = dataclasses.MISSING
        settings["metavar"] = "{" + ",".join(str(c) for c in choices if c != "") + "}"
    if isinstance(default, bool):
        settings["help_behavior_hint"] = f"(default: {_SWITCHES[default]})"
    elif default in ("", (), None, dataclasses.MISSING):
        settings["help_behavior_hint"] = ""
    kind = Annotated[kind, tyro.conf.arg(**settings)]
    return field.name, kind, dataclasses.field(default=default)


@functools.cache
def read_texts(kind):
    """Return {field: its docstring in one line} of a dataclass."""
    parsed = docstring_parser.parse_from_object(kind).params
    return {each.arg_name: " ".join(each.description.split()) for each in parsed}


def describe_group(name, text, fields):
    """Return a field of `make_dataclass` that holds the fields of a group.

    Args:
        name: --help shows it as the group's title.
        text: what --help says below that.
        fields: of `describe_fields`.
    """
    kind = dataclasses.make_dataclass(name, fields, kw_only=True, namespace={"__doc__": text})
    return name, Annotated[kind, tyro.conf.arg(help=text)]


def describe_fields(kind, choices=None, defaults=None, without=()):
    """Return a dataclass's fields as tyro shows and reads them, for `make_dataclass`.

    Args:
        kind: a dataclass, whose fields have docstrings.
        choices: {field: possible values}, where its type does not say them.
        defaults: {field: value} instead of its own.
        without: names of fields that are left out.
    """
    choices, defaults = choices or {}, defaults or {}
    texts = read_texts(kind)
    return [
        _describe(
            field,
            texts.get(field.name, ""),
            choices.get(field.name, ()),
            defaults.get(field.name, field.default),
        )
        for field in dataclasses.fields(kind)
        if field.name not in without
    ]


def list_flags(kind):
    """Return the flags of a dataclass of `describe_fields`."""
    parser = tyro.extras.get_parser(kind, config=_CONFIG)
    return [flag for action in parser._actions for flag in action.option_strings]


def _name_program():
    spec = sys.modules["__main__"].__spec__
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else f"python {sys.argv[0]}"


def _show_help(page, description, below):
    """Print a page of help; its description is wrapped, as tyro wraps all else."""
    width = shutil.get_terminal_size().columns
    texts = [" ".join(text.split()) for text in description.split("\n\n")]
    usage, _, flags = page.partition("\n\n")
    print(*("\n".join(textwrap.wrap(text, width)) for text in (usage, *texts)), sep="\n\n")
    print(
        "", *(line.rstrip() for line in flags.strip("\n").rstrip().splitlines()), *below, sep="\n"
    )


def _find_paths(value):
    """Return what was parsed; paths of weights/ that are in the project begin there."""
    if isinstance(value, tuple):
        return tuple(map(_find_paths, value))
    if isinstance(value, str | Path):
        return find_path(value)
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **{k: _find_paths(v) for k, v in vars(value).items()})
    return value


def parse(kind, arguments, description="", *, below=(), known=(), elsewhere=None, with_rest=False):
    """Parse a command line, or print its help.

    Args:
        kind: a dataclass of `describe_fields`.
        arguments: list of strings.
        description: paragraphs that --help begins with; empty: --help is not answered.
        below: lines that --help ends with.
        known: flags that exist besides those of `kind`, for suggestions.
        elsewhere: {flag: why it is refused}.
        with_rest: whether unknown arguments are returned instead of refused.

    Returns:
        An instance of `kind`; with_rest: and the list of the other arguments.

    Raises:
        ValueError: an unknown flag or an impossible value; the most similar one is named.
        SystemExit: after --help.
    """

    def refuse(event):
        flags = [*known, *list_flags(kind)]
        words = [word for word in arguments if word.startswith("--")]
        unknown = [word for word in words if not with_rest and read_flag(word) not in flags]
        if unknown:  # it comes first: what it stands for may be what tyro misses
            raise ValueError(_refuse_word(unknown[0], flags, elsewhere or {}))
        raise ValueError(_REFUSALS[type(event)](event, flags, elsewhere or {}))

    page = io.StringIO()
    try:
        with _errors.on_parse_error(refuse), contextlib.redirect_stdout(page):
            found = tyro.cli(
                kind,
                args=arguments,
                prog=_name_program(),
                description="",
                return_unknown_args=with_rest,
                add_help=bool(description),
                config=_CONFIG,
            )
    except SystemExit:
        _show_help(page.getvalue(), description, below)
        raise
    return (_find_paths(found[0]), found[1]) if with_rest else _find_paths(found)


@dataclasses.dataclass(frozen=True)
class Command:
    """How a command's line is parsed.

    Attributes:
        description: what --help begins with, the module's docstring.
        options: dataclass of its own flags.
        read_rest: function (arguments that are not its own, its own flags) -> what they make, or
            a ValueError; None where there are no others.
    """

    description: str
    options: type
    read_rest: Callable | None = None

    def parse(self, arguments=None):
        """Parse a list of strings, or the program's own.

        Returns:
            The options; with `read_rest`: and what that returns.

        Raises:
            ValueError: an unknown flag or an impossible value.
            SystemExit: after --help.
        """
        arguments = sys.argv[1:] if arguments is None else [*map(str, arguments)]
        fields = describe_fields(self.options)
        kind = dataclasses.make_dataclass(self.options.__name__, fields, kw_only=True)
        if self.read_rest is None:
            return self.options(**vars(parse(kind, arguments, self.description)))
        below = ("", "The flags of training.py can be given too: python training.py --help")
        parsed, others = parse(kind, arguments, self.description, below=below, with_rest=True)
        rest = self.read_rest(others, list_flags(kind))
        return self.options(**vars(parsed)), rest
