package execengine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// roomEvery is how often a slot that waits for memory looks again.
const roomEvery = 500 * time.Millisecond

// room waits until the host has the memory available that a task needs.
func (e *Engine) room(ctx context.Context) error {
	need := e.Spec.MemPerTask
	if need <= 0 {
		return nil
	}
	told := false
	for {
		have, err := availableMemory()
		if err != nil {
			e.Log.Warn("--exec-mem-per-task cannot be kept on this host", "error", err)
			return nil
		}
		if have >= need {
			return nil
		}
		if !told {
			e.Log.Info("waiting for memory", "available_bytes", have, "needed_bytes", need)
			told = true
		}
		t := time.NewTimer(roomEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// availableMemory is what the kernel says could be had without swapping.
func availableMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("reading the available memory: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) == 3 && string(fields[0]) == "MemAvailable:" {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the available memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("reading the available memory: /proc/meminfo does not say it")
}
