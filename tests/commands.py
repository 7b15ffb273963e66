"""Commands run inside the test's own process."""

import json

from pellucid.cli import main as command


def told_by(capsys, *arguments):
    """(standard output, standard error) of a command that succeeds."""
    capsys.readouterr()
    assert command.run([str(a) for a in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr()


def document(capsys, *arguments):
    """What a command that succeeds prints with --json."""
    return json.loads(told_by(capsys, *arguments, "--json").out)


def refused(capsys, *arguments):
    """(exit code, what is said) of a command that does not: one sentence, no traceback."""
    capsys.readouterr()
    code = command.run([str(a) for a in arguments])
    err = capsys.readouterr().err
    assert code and "Traceback" not in err
    return code, err
