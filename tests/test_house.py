"""The house kept in order: nothing dead, nothing untested that a user can type, no file that does not say what it is.

Found by reading the sources. What only looks unused stands in a table with its reason, and an entry that is not needed
any more fails, too. A use in tests alone is no use, but for the stand-in Discord: it is there for tests.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import click
import pytest
from vulture import Vulture

from sususbot.cli.main import COMMANDS
from sususbot.settings import Settings
from tests.support.sources import PACKAGE, ROOT, Source, files, name_of, source


class Seeming(NamedTuple):
    """What looks unused and is not: a module, a name (both may have `*`), and who uses it."""

    module: str
    name: str
    why: str


WRITTEN_WHOLE: Final = "the fields of a value that is written to JSON as a whole"
BY_DISCORD: Final = "discord.py calls it by its name"
SET_FOR_OTHERS: Final = "set for a library that reads it"
SEEMING: Final = (
    Seeming("__init__", "__getattr__", "Python asks it for `__version__`"),
    Seeming("analysis.analysis", "*", WRITTEN_WHOLE),
    Seeming("training.memory_model", "*", WRITTEN_WHOLE),
    Seeming("training.metrics", "gradient_norm", WRITTEN_WHOLE),
    Seeming("web.training_charts", "vram_gb", "a column of metrics.jsonl, read by its name"),
    Seeming("linking.words", "*", "what a line is, read as one tuple"),
    Seeming("evaluation.community", "opted_out", "beside `erased`, for who asks what was settled"),
    Seeming("sample.__init__", "said_only_by_them", "for who looks whether a bot gives away what it must not"),
    Seeming("safety.red_team", "technique", "for who reads red_team.json"),
    Seeming("bot.client", "*", BY_DISCORD),
    Seeming("bot.commands", "*", BY_DISCORD),
    Seeming("bot.controls", "*", BY_DISCORD),
    Seeming("bot.wishes", "unsure", BY_DISCORD),
    Seeming("bot.logs", "*", "logging calls it by its name"),
    Seeming("cli.*", "*", "click calls it, and the table of commands names it"),
    Seeming("memory.vector_index", "exact_index", "the table INDEXES names it"),
    Seeming("sources.*", "*", "the table of formats names it"),
    Seeming("settings", "*", "pydantic calls it"),
    Seeming("web.server", "*", "uvicorn calls it and reads it by its name"),
    Seeming("benchmarks.engine", "*", SET_FOR_OTHERS),
    Seeming("benchmarks.summarizing", "pre_tokenizer", SET_FOR_OTHERS),
    Seeming("benchmarks.train_gpu", "is_loaded_in_4bit", SET_FOR_OTHERS),
    Seeming("benchmarks.training_trl", "on_step_*", "trl calls it by its name"),
    Seeming("model.llamacpp_process", "*", SET_FOR_OTHERS),
    Seeming("model.pieces", "post_processor", SET_FOR_OTHERS),
    Seeming("training.base", "_gradient_checkpointing_func", SET_FOR_OTHERS),
    Seeming("training.run_folder", "base_model_name_or_path", SET_FOR_OTHERS),
)
# The room that exists to be used by tests.
DOOR: Final = "standin"

MEDIAN_LINES: Final = 12
LONG_FILE: Final = 400
# How the reason begins, and in how many first lines of a file that is longer.
REASON: Final = re.compile(r"Long because|Made (from|by)")
ON_TOP: Final = 25
KINDS: Final = (".py", ".css", ".html", ".md", ".ps1", ".sql")
WRITTEN_IN: Final = ("src", "tests", "tools", "docs", "deploy")


def none(found: Iterable[object], what: str) -> None:
    """Fails with a line for each of these."""
    lines = [str(one) for one in found]
    assert not lines, "\n    ".join([f"{what}:", *lines])


# -- code


@pytest.fixture(scope="module")
def unused() -> list[tuple[str, str]]:
    """(module, name) of all that no file of the package names. Imports are ruff's business."""
    finder = Vulture(ignore_decorators=["@*.command*", "@*.group*"])
    finder.scavenge([PACKAGE])
    items = finder.get_unused_code(min_confidence=60)
    return [(name_of(Path(item.filename).resolve()), item.name) for item in items if item.typ != "import"]


def seems(seeming: Seeming, module: str, name: str) -> bool:
    return fnmatchcase(module, seeming.module) and fnmatchcase(name, seeming.name)


def test_no_code_is_dead(unused: list[tuple[str, str]]) -> None:
    tested = {word for path in files("tests") for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    dead = [
        f"{module}.{name}"
        for module, name in unused
        if not any(seems(seeming, module, name) for seeming in SEEMING)
        and not (module.startswith(f"{DOOR}.") and name in tested)
    ]
    none(dead, "nobody uses these: take them out, or say in SEEMING who does")


def test_nothing_private_is_dead() -> None:
    """vulture passes over names that begin with an underscore; of a module's own nobody else knows."""
    said = {name_of(path): source(path) for path in files("src")}
    dead = [f"{module}.{own}" for module, its in said.items() for own in its.own - its.names - its.caught]
    none(sorted(dead), "nobody uses these in their module")


def test_every_excuse_is_needed(unused: list[tuple[str, str]]) -> None:
    none(
        [seeming for seeming in SEEMING if not any(seems(seeming, *item) for item in unused)],
        "nothing of the kind looks unused any more: take the excuse out",
    )


def test_every_module_is_loaded() -> None:
    """By an import, or by a string: its name, its file's, or what is put behind a room's name (`chat:build`)."""
    loaded: set[str] = set()
    for path in files("src"):
        said = source(path)
        room = f"sususbot.{name_of(path).partition('.')[0]}."
        ends = {text.partition(":")[0] for text in said.strings}
        loaded |= said.imports | ends
        loaded |= {f"{room}{end.removesuffix('.py')}" for end in ends if end.endswith(".py")}
        loaded |= {f"{beginning}{end}" for beginning in said.rooms for end in ends}
    modules = {f"sususbot.{name_of(path)}" for path in files("src") if not path.stem.startswith("__")}
    none(sorted(modules - loaded), "modules that nobody loads")


def test_every_error_is_raised() -> None:
    """A class that is only caught stands for nothing that happens; what has kinds may stand for them alone."""
    text = (PACKAGE / "errors.py").read_text(encoding="utf-8")
    kinds = dict(re.findall(r"^class (\w+)\((\w+)\):", text, re.MULTILINE))
    raised = {name for path in files("src") for name in source(path).names}
    none(sorted(set(kinds) - set(kinds.values()) - raised), "errors that nobody raises")


def test_no_import_goes_in_a_circle() -> None:
    """Within a room either, and not by imports that stand in functions or are there for types alone."""
    modules = {name: path for path in files("src") if (name := f"sususbot.{name_of(path)}")}
    waiting = {name: source(path).imports & set(modules) - {name} for name, path in modules.items()}
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    none(sorted(waiting), "these import each other, or what does")


def test_functions_are_short() -> None:
    lines = [count for path in files("src") for count in source(path).functions]
    assert median(lines) <= MEDIAN_LINES


def test_a_long_file_says_why_on_top() -> None:
    """All that is written by hand: what is made from something else says so instead. Data and pictures are no text."""
    written = [path for folder in WRITTEN_IN for kind in KINDS for path in files(folder, kind)]
    written += [path for kind in KINDS for path in ROOT.glob(f"*{kind}")]
    tops = {path: path.read_text(encoding="utf-8").splitlines() for path in written}
    long = [path for path, lines in tops.items() if len(lines) > LONG_FILE]
    none([name_of(path) for path in long if not REASON.search(" ".join(tops[path][:ON_TOP]))], "long without a reason")


# -- what an owner can set and type


def test_every_setting_is_read() -> None:
    read = {name for path in files("src") if path != PACKAGE / "settings.py" for name in source(path).read_settings}
    none(sorted(set(Settings.model_fields) - read), "settings that nobody reads")


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it, those of groups too."""
    for name, (where, _) in COMMANDS.items():
        module, _, function = where.partition(":")
        command: click.Command = getattr(import_module(module), function)
        yield (name,), command
        for inner, part in getattr(command, "commands", {}).items():
            yield (name, inner), part


def test_every_command_and_option_is_used_in_a_test() -> None:
    """In one file of tests, that is, or in what it imports of tests: the command's words and the option as strings."""
    tests = [with_helpers(source(path)) for path in files("tests") if path != Path(__file__)]
    untested: list[str] = []
    for words, command in commands():
        typed = [there for there in tests if there.issuperset(words)]
        if not typed:
            untested.append(" ".join(words))
        for option in command.params:
            if isinstance(option, click.Option) and not any(
                there & {*option.opts, *option.secondary_opts} for there in typed
            ):
                untested.append(" ".join([*words, option.opts[0]]))
    none(untested, "in no test")


def with_helpers(said: Source) -> set[str]:
    helpers = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in said.imports if name.startswith("tests.")]
    return said.strings.union(*(source(path).strings for path in helpers if path.is_file()))


# -- styles and data


def test_every_data_file_is_read() -> None:
    """Code beside it names it, its kind where a folder is read whole (`.sql`), or another file does that is read."""
    data = [path for path in files("src", "") if path.suffix not in (".py", "") and path.name != "py.typed"]
    unread = []
    for path in data:
        room = f"src/sususbot/{path.relative_to(PACKAGE).parts[0]}"
        named = {text for module in files(room) for text in source(module).strings}
        listed = "".join(other.read_text(encoding="utf-8") for other in files(room, ".json") if other.name in named)
        if not {path.name, path.stem, path.suffix} & named and f'"{path.name}"' not in listed:
            unread.append(path.relative_to(PACKAGE))
    none(unread, "read by nobody")


@pytest.mark.parametrize("sheet", files("src", ".css"), ids=name_of)
def test_every_style_is_used(sheet: Path) -> None:
    """Its classes are named in the code or the template beside it, its variables in a sheet or in code."""
    room = sheet.relative_to(PACKAGE).parts[0]
    beside = [*files(f"src/sususbot/{room}"), *files(f"src/sususbot/{room}", ".html"), *files("src/sususbot/analysis")]
    used = "".join(path.read_text(encoding="utf-8") for path in [*beside, *files("src", ".css")])
    named = "".join(path.read_text(encoding="utf-8") for path in beside)
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    classes = re.findall(r"\.(-?[a-z][\w-]*)", re.sub(r"\{[^{}]*\}", "", text))
    idle = {name for name in classes if not any(re.search(one, named) for one in _named(name))}
    idle |= {name for name in re.findall(r"(--[\w-]+)\s*:", text) if f"var({name}" not in used}
    none(
        sorted(name for name in idle if not re.match(r"(--)?(q-|nicegui|body--|disabled|bg-|no-wrap)", name)),
        "styles for nothing",
    )


def _named(name: str) -> tuple[str, ...]:
    """How code may name a class: as it is, by its beginning (`page-{name}`), by a colour (`svg` has fill- before)."""
    colour = name.removeprefix("fill-").removeprefix("stroke-")
    return rf"(?<![\w-])({name}|{colour})(?![\w-])", rf"(?<![\w-]){name.partition('-')[0]}-\{{"


# -- logs

# What words of members are called, and prompts, which are made of them.
WORDS: Final = re.compile(r"_?(text|content|rendered|prompt|asked|said|words|lines?|raw|body|refused|turns?|summary)")
# Discord's own words for a refusal, and what an engine prints before it heard of anybody.
NOT_THEIRS: Final = {"bot.controls: error.text", "bot.sending: error.text", "model.child: words"}


def logged(node: ast.AST) -> Iterator[str]:
    """Names whose values a log call is given, but for what passes `content` and what is only counted."""
    match node:
        case ast.Call(func=ast.Name(id="content" | "len")):
            pass
        case ast.Call():
            for given in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield from logged(given)
        case ast.Name() | ast.Attribute():
            yield ast.unparse(node)
        case _:
            for inner in ast.iter_child_nodes(node):
                yield from logged(inner)


def test_what_members_say_enters_a_log_by_one_door() -> None:
    """`content` leaves it out, or marks it: words without the mark would outlive whoever is forgotten."""
    calls = [
        (name_of(path), call)
        for path in files("src")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and re.match(r"_?log(ger)?\.", ast.unparse(call.func))
    ]
    given = {(module, name) for module, call in calls for name in logged(call)}
    found = {f"{module}: {name}" for module, name in given if WORDS.fullmatch(name.rpartition(".")[2])}
    none(sorted(found ^ NOT_THEIRS), "logged without  content,  or needless in NOT_THEIRS")


# -- heads


@pytest.mark.parametrize("folder", ["src", "tests", "tools"])
def test_every_file_says_first_what_lives_there(folder: str) -> None:
    """More than its name; an `__init__` may be empty where the folder is one of tests."""
    silent = [
        name_of(path)
        for path in files(folder)
        if len(source(path).docstring.split()) < 6
        and (source(path).lines or folder == "src")
        and path.name != "__main__.py"
    ]
    none(silent, "nothing is said, or only the name")


@pytest.mark.parametrize(("ending", "opening"), [(".css", "/*"), (".sql", "--")])
def test_every_sheet_and_migration_says_first_what_it_is(ending: str, opening: str) -> None:
    found = [path for path in files("src", ending) if not path.read_text(encoding="utf-8").startswith(opening)]
    none(map(name_of, found), "nothing is said")


def test_every_migration_says_that_it_stays_as_it_is() -> None:
    for path in files("src/sususbot/archive/migrations", ".sql"):
        head = path.read_text(encoding="utf-8").partition("\n\n")[0]
        assert "a change is a new file" in head, path.name
