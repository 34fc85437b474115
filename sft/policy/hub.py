"""A model of the Hugging Face hub as a local directory: what is fetched, and when what is in the cache will do."""

from __future__ import annotations

from pathlib import Path

from evaluation.errors import UserError
from sft.policy.model_files import missing_files

WANTED = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
UNWANTED = ("*/*", "consolidated*", "params.json", "tekken.json")
"""The same weights again, in the layouts of other libraries; vLLM would take a directory with them for Mistral's."""


def fetched(name: str) -> Path:
    """The snapshot of `name`, whole: from the cache, or what is missing of it from the hub. UserError: neither."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    cached = _cached(name)
    if cached is not None and not missing_files(cached) and not _interrupted(cached):
        return cached
    found: Path | None = cached
    problem: object = "files are missing"
    try:
        found = Path(snapshot_download(name, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        problem = error
    if found is not None and not missing_files(found):
        return found
    lacking = f"; the cache lacks {missing_files(found)[0]}" if found is not None else ""
    raise UserError(
        f"the model {name} is neither a directory nor whole in the Hugging Face cache{lacking}, and could not be "
        f"fetched: {' '.join(str(problem).split())}"
    )


def _cached(name: str) -> Path | None:
    """Where the cache has its config.json: a folder of links, whole or not."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError as error:
        raise UserError(f"the model path {name} is no directory and no name on the Hugging Face hub: {error}") from None
    return Path(found).parent if isinstance(found, str) else None


def _interrupted(snapshot: Path) -> bool:
    """A download of this repository ended in the middle of a file."""
    return any(snapshot.parent.parent.glob("blobs/*.incomplete"))
