package worker

import (
	"syscall"
	"time"
)

// changeTime is when a file's content or description was changed last.
func changeTime(st *syscall.Stat_t) time.Time { return time.Unix(st.Ctimespec.Unix()) }
