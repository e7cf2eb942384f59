package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// procStat is what we need of /proc/<pid>/stat (proc_pid_stat(5)).
type procStat struct {
	state byte
	ppid  int
	pgrp  int
	start uint64 // clock ticks since boot
}

func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

// parseStat reads one line of /proc/<pid>/stat. The command's name in parentheses
// may hold anything, so fields are counted from the last one.
func parseStat(b []byte) (procStat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, fmt.Errorf("stat line %.40q has no command in parentheses", b)
	}
	// Field 3 of the manual, the state, is fields[0] here.
	fields := strings.Fields(string(b[i+1:]))
	if len(fields) < 20 {
		return procStat{}, fmt.Errorf("stat line has %d fields after the command (want 20 or more)", len(fields))
	}
	if len(fields[0]) != 1 {
		return procStat{}, fmt.Errorf("stat line: state %.20q (want one letter)", fields[0])
	}
	st := procStat{state: fields[0][0]}
	var err error
	if st.ppid, err = strconv.Atoi(fields[1]); err != nil {
		return procStat{}, fmt.Errorf("stat line: ppid: %w", err)
	}
	if st.pgrp, err = strconv.Atoi(fields[2]); err != nil {
		return procStat{}, fmt.Errorf("stat line: pgrp: %w", err)
	}
	if st.start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return procStat{}, fmt.Errorf("stat line: starttime: %w", err)
	}
	return st, nil
}

// StartTime returns a text that distinguishes the process pid from every other that
// has had or will have its number on this machine: boot and start time. A
// process that has ended and waits to be reaped has none.
func StartTime(pid int) (string, error) {
	st, err := readStat(pid)
	if err != nil {
		return "", fmt.Errorf("reading the start time of process %d: %w", pid, err)
	}
	if st.dead() {
		return "", fmt.Errorf("reading the start time of process %d: it has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the start time of process %d: %w", pid, err)
	}
	return fmt.Sprintf("%s/%d", bytes.TrimSpace(boot), st.start), nil
}
