package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// commandVerb makes gx1test a command of the engine exec that needs its grace:
// asked to stop it goes on for a while, and only then counts its last bars and
// writes its footer. It logs its bars as workers do.
const commandVerb = "command"

// lastBars are what it counts in its grace.
const lastBars = 20

// task is what it reads of its task file.
type task struct {
	ChunkIdx   int    `json:"chunk_idx"`
	Attempt    int    `json:"attempt"`
	FirstBar   int64  `json:"first_bar"`
	Planned    int64  `json:"planned_bars"`
	FooterFile string `json:"footer_file"`
}

func command(args []string, stdout, stderr io.Writer) int {
	if err := replay(args, stdout); err != nil {
		fmt.Fprintf(stderr, "gx1test command: %v\n", err)
		return exitBadHook
	}
	return 0
}

func replay(args []string, stdout io.Writer) error {
	// Before all else: a signal to everybody may come as soon as it is there.
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	flags := flag.NewFlagSet(commandVerb, flag.ContinueOnError)
	bar := flags.Duration("bar", 10*time.Millisecond, "what a bar takes")
	flush := flags.Duration("flush", time.Second, "what it needs to end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(os.Getenv("GX1R_TASK_FILE"))
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(os.Getenv("GX1TEST_BARLOG"), strconv.Itoa(os.Getpid())+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	done := int64(0)
	step := func(report bool) error {
		if _, err := fmt.Fprintf(log, "%d %d %d\n", t.ChunkIdx, t.Attempt, t.FirstBar+done); err != nil {
			return err
		}
		done++
		if report {
			_, _ = fmt.Fprintf(stdout, "GX1 {\"bars_processed\": %d}\n", done) // nobody may be there to read it
		}
		return nil
	}
	tick := time.NewTicker(*bar)
	defer tick.Stop()
	status := "ok"
	for done < t.Planned && status == "ok" {
		select {
		case <-asked:
			status = "stopped"
		case <-tick.C:
			if err := step(true); err != nil {
				return err
			}
		}
	}
	if status == "stopped" {
		time.Sleep(*flush) // it writes its state
		for n := 0; n < lastBars && done < t.Planned; n++ {
			if err := step(false); err != nil {
				return err
			}
		}
		_, _ = fmt.Fprintf(stdout, "GX1 {\"bars_processed\": %d}\n", done)
	}
	footer := fmt.Sprintf("{\"status\": %q, \"bars_processed\": %d}\n", status, done)
	if err := os.WriteFile(t.FooterFile+".tmp", []byte(footer), 0o644); err != nil {
		return err
	}
	return os.Rename(t.FooterFile+".tmp", t.FooterFile)
}
