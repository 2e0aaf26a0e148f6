"""Records every scenario anew. A trace that would change is shown, and only `--accept` writes it."""

import difflib
import sys

from recorder import GROUPS, HERE, record


def main():
    accept = "--accept" in sys.argv
    changed = False
    for group in GROUPS:
        path = HERE / f"{group}.trace"
        before = path.read_text() if path.exists() else ""
        after = record(group)
        if before == after:
            continue
        # Scenarios that are added at the end of a group do not change the existing recordings.
        if accept or after.startswith(before):
            path.write_text(after)
            print(f"{path.name}: written")
            continue
        changed = True
        sys.stdout.writelines(
            difflib.unified_diff(
                before.splitlines(keepends=True), after.splitlines(keepends=True), f"{group}.trace", "as recorded now"
            )
        )
    if changed:
        raise SystemExit("recorded traces would change; `record.py --accept` writes them")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
