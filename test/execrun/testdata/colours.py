"""A replay whose words move a terminal's cursor, and which fails in chunk 1."""

import json
import os
import sys

EVIL = "\x1b[2J\x1b]0;title\x07 \u009b31m \u202eturned\u202c \u2028 \x7f\b"


def main():
    with open(os.environ["GX1R_TASK_FILE"]) as f:
        task = json.load(f)
    sys.stderr.buffer.write((EVIL + " of chunk %d\n" % task["chunk_idx"]).encode() + b"as a byte \x9b2J\n")
    sys.stderr.flush()
    footer = {"status": "ok", "chunk_id": task["chunk_id"], "bars_processed": task["planned_bars"]}
    if task["chunk_idx"] == 1:
        footer.update(status="failed", error=EVIL, bars_processed=0, skip_reasons={EVIL: 1}, error_traceback="one\n" + EVIL)
    with open(os.path.join(task["out_dir"], "trades.csv"), "w") as f:
        f.write("time,note\n%d,%s\n" % (task["first_bar"], EVIL))
    with open(task["footer_file"], "w") as f:
        json.dump(footer, f)
    if footer["status"] != "ok":
        sys.exit(1)


main()
