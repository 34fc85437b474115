from pathlib import Path

import pytest

from cluster.errors import ClusterError
from evaluation.errors import UserError, exit_on_user_error, one_screen
from graph.schema import SchemaError


def command(error: BaseException | None) -> int:
    @exit_on_user_error
    def main() -> int:
        if error:
            raise error
        return 0

    return main()


@pytest.mark.parametrize("error", [kind("no such file") for kind in (UserError, SchemaError, ClusterError)])
def test_a_user_error_is_one_message_and_exit_code_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(error) == 2
    assert capsys.readouterr().err == "error: no such file\n"


def test_any_error_of_the_system_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for error, says in (
        (PermissionError(13, "Permission denied", "/x/config.toml"), "/x/config.toml: Permission denied"),
        (OSError(18, "Invalid cross-device link", "a", None, "b"), "a → b: Invalid cross-device link"),
        (ConnectionError("no answer"), "no answer"),
        (TimeoutError(), "TimeoutError"),
    ):
        assert command(error) == 2
        assert capsys.readouterr().err == f"error: {says}\n"


def test_a_full_disk_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as full, pytest.raises(OSError) as caught:
        full.write("x" * 1_000_000)
    assert command(caught.value) == 2
    assert "No space left on device\nThe disk must have room" in capsys.readouterr().err


def test_ctrl_c_is_130_and_success_is_0() -> None:
    assert command(KeyboardInterrupt()) == 130
    assert command(None) == 0


def test_a_plain_value_error_is_a_bug_and_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="a bug"):
        command(ValueError("a bug"))


def test_a_message_never_fills_more_than_one_screen() -> None:
    shown = one_screen("\n".join(["x" * 5000] * 500)).splitlines()
    assert len(shown) == 30
    assert max(map(len, shown)) < 410
    assert shown[-1] == "… and 471 more lines"
