"""The outermost edge: a command, its errors in one line, its exit code."""

try:
    import argparse
    import atexit
    import io
    import os
    import sys
    import traceback
    from collections.abc import Callable, Sequence
    from importlib import import_module
    from typing import NoReturn

    from skillgrad_ci.commands.cli import BUDGET, ELSE, USER, parse_arguments
    from skillgrad_ci.errors import BudgetExceeded, SkillGradError, UserError
except KeyboardInterrupt:  # there is nothing to end yet, and nothing to say
    raise SystemExit(130) from None

COMMANDS = {  # imported when asked for: each needs other heavy things. Those that speak of GitHub are the bot's
    "optimize": ("bot.by_hand.offer", "optimize_by_hand"),
    "init": ("commands.start.init", "init"),
    "doctor": ("bot.by_hand.doctor", "doctor"),
    "demo": ("bot.by_hand.offer", "demo_by_hand"),
    "plan": ("commands.shards", "plan_command"),
    "execute": ("commands.shards", "execute_command"),
    "merge": ("commands.shards", "merge_command"),
    "evaluate": ("commands.evaluate", "evaluate_skill"),
    "blame": ("commands.blame", "blame_skill"),
    "compare": ("commands.side_by_side.compare", "compare_optimizers"),
    "transfer": ("commands.side_by_side.transfer", "transfer"),
    "grade": ("commands.suite.grade", "grade_command"),
    "suite": ("commands.suite.suite", "suite"),
    "agree": ("commands.suite.agree", "agree"),
    "report": ("commands.report", "report_command"),
    "view": ("commands.view", "view"),
    "lint": ("commands.lint", "lint_skills"),
}


def entry_point() -> NoReturn:
    """One command as a process of its own.

    It ends as soon as its exit functions have run, and the interpreter is not taken apart: a model's call that was
    left may be in the middle of an import, and whatever else is imported then waits for it for ever.
    """
    code: int | None = None  # while argparse ends the program itself, nothing else runs yet

    def end() -> None:
        if code is not None:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    atexit.register(end)  # the first one to be registered runs last
    code = main()
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; argparse itself exits with 2 for arguments that it cannot read."""
    for stream in (sys.stdout, sys.stderr):  # one that cannot show a character never ends the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        if arguments.command == "action":
            from skillgrad_ci.bot.action import action

            return _said(action())
        _refuse_no_folder()
        module, function = COMMANDS[arguments.command]
        command: Callable[[argparse.Namespace], int] = getattr(import_module(f"skillgrad_ci.{module}"), function)
        return _said(command(arguments))
    except KeyboardInterrupt:
        sys.stderr.write("skillgrad-ci: interrupted\n")
        return ELSE
    except BrokenPipeError:  # whoever read the output has gone; nothing can be said to them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ELSE
    except Exception as error:  # noqa: BLE001  # the one place that answers every error
        return _failed(error, arguments.debug or bool(os.environ.get("SKILLGRAD_DEBUG")))


def _said(code: int) -> int:
    """The exit code, once all output is written: what cannot be written is an error here, and later nobody's."""
    sys.stdout.flush()
    return code


def _failed(error: Exception, debug: bool) -> int:
    from skillgrad_ci.document.inert_text import printable, terminal_safe
    from skillgrad_ci.secrets import Redactor

    known = isinstance(error, SkillGradError)
    what = "" if known else f"{type(error).__name__}: "
    hint = "" if known or debug else " (a mistake of this program: please report it with the output of --debug)"
    text = terminal_safe("".join(traceback.format_exception(error))) if debug else ""
    line = printable(str(error)) or "no more is known"
    line = Redactor.from_environment(os.environ)(f"skillgrad-ci: {what}{line}{hint}")
    sys.stderr.write(
        Redactor.from_environment(os.environ)(text) + (_folded(line) if sys.stderr.isatty() else line) + "\n"
    )
    return USER if isinstance(error, UserError) else BUDGET if isinstance(error, BudgetExceeded) else ELSE


def _refuse_no_folder() -> None:
    """Raises UserError where the working folder is gone: every path is looked up in it."""
    try:
        os.getcwd()  # noqa: PTH109  # pathlib is not needed for --help
    except FileNotFoundError:
        raise UserError("the folder that you are in was removed; move to another one") from None


def _folded(line: str) -> str:
    """A line for a terminal, which would break it within a word."""
    from shutil import get_terminal_size
    from textwrap import fill

    return fill(line, get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    entry_point()
