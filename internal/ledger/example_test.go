package ledger_test

import (
	"fmt"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Two sources know of a run, each of them another chunk. The ledger merges them,
// in whatever order they are added.
func ExampleLedger_Add() {
	l := ledger.New("r1")
	for from, idx := range map[ledger.Source]int{ledger.PerfFile: 0, ledger.Backup: 1} {
		f, err := fileWithChunk(idx)
		if err == nil {
			err = l.Add(ledger.Account{From: from, File: f})
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(l.ReplayedBars(), "bars are known to be replayed")
	// Output: 20 bars are known to be replayed
}

// fileWithChunk is a perf file of two chunks, of which one has replayed 10 of
// its 100 bars.
func fileWithChunk(idx int) (perf.File, error) {
	chunks := []perf.Chunk{{Idx: 0, Planned: 100, Status: footer.StatusMissing}, {Idx: 1, Planned: 100, Status: footer.StatusMissing}}
	line, err := perf.EncodeChunk(footer.Footer{
		RunID: "r1", ChunkID: fmt.Sprint(idx), ChunkIdx: int64(idx), Status: footer.StatusStopped, Schema: footer.Schema, Attempt: 1, Engine: footer.EngineBuiltin,
		FirstBar: int64(100 * idx), EndBar: int64(100*idx + 100), PlannedBars: 100, TotalBars: 10, BarsProcessed: 10,
	})
	if err != nil {
		return perf.File{}, err
	}
	chunks[idx].Status, chunks[idx].Line = footer.StatusStopped, line
	b, err := perf.Append(nil, perf.Report{RunID: "r1", Timestamp: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Mode: perf.ModeNormal, Data: run.Data{Bars: 200}}, chunks)
	if err != nil {
		return perf.File{}, err
	}
	return perf.Parse(b)
}
