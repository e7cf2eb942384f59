#!/bin/sh
# A replay that hangs in chunk 2, deaf to SIGTERM: before its first bar, or
# after its third.
#
#   hang.sh startup|replay CHUNK_IDX
trap '' TERM
if [ "$2" = 2 ]; then
  if [ "$1" = replay ]; then echo 'GX1 {"bars_processed": 3}'; fi
  sleep 600
fi
echo '{"status": "ok"}' > "$GX1R_FOOTER_FILE"
