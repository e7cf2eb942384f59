package perf_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/perf"
)

func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "v1", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// edit replaces old, which must be there, once.
func edit(tb testing.TB, b []byte, old, new string) []byte {
	tb.Helper()
	if !bytes.Contains(b, []byte(old)) {
		tb.Fatalf("the golden file has no %s", old)
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

// Each number that follows from others is found when it is changed, by name.
func TestVerifyNamesWhatDoesNotFit(t *testing.T) {
	b := golden(t, "stopped.json")
	for _, c := range []struct{ old, new, want string }{
		{`"schema_version": "perf_v1"`, `"schema_version": "perf_v2"`, "schema_version is perf_v2 (expected perf_v1)"},
		{`"export_seq": 1`, `"export_seq": 2`, "export_seq is 2 (expected 1)"},
		{`"outcome": "failed"`, `"outcome": "complete"`, "outcome is complete (expected failed)"},
		{`"chunks_total": 6`, `"chunks_total": 7`, "chunks_total is 7 (expected 6)"},
		{`"chunks_completed": 1`, `"chunks_completed": 2`, "chunks_completed is 2 (expected 1)"},
		{`"planned_bars": 600`, `"planned_bars": 601`, "coverage.planned_bars is 601 (expected 600)"},
		{`"replayed_bars": 239`, `"replayed_bars": 240`, "coverage.replayed_bars is 240 (expected 239)"},
		{`"missing_bars": 361`, `"missing_bars": 360`, "coverage.missing_bars is 360 (expected 361)"},
		{`"total_bars": 239`, `"total_bars": 240`, "total_bars is 240 (expected 239)"},
		{`"total_model_calls": 119`, `"total_model_calls": 1`, "total_model_calls is 1 (expected 119)"},
		{`"total_trades": 23`, `"total_trades": 24`, "total_trades is 24 (expected 23)"},
		{`"total_pnl_bps": 29.875`, `"total_pnl_bps": 29.876`, "total_pnl_bps is 29.876 (expected 29.875)"},
		{`"trades_open": 4`, `"trades_open": 5`, "trades_open is 5 (expected 4)"},
		{`"stretches": 2`, `"stretches": 1`, "selection.stretches is 1 (expected 2)"},
		{`"bars": 600`, `"bars": 599`, "data.bars is 599 (expected 600, the sum of planned_bars)"},
		{`"replayed_bars": 40`, `"replayed_bars": 41`, "coverage.by_status.stopped is"},
		{`"missing": {`, `"lost": {`, "coverage.by_status.missing is"},
		{`"by_status": {`, `"by_status": {"lost": {"chunks": 0},`, "coverage.by_status.lost is"},
		{`"1": "stopped"`, `"1": "ok"`, `chunks_statuses["1"] is ok (expected stopped)`},
		{`"5": "parse_error"`, `"5": "parse_error", "6": "ok"`, "chunks_statuses is of 7 chunks (expected 6)"},
		{`"chunk_id":"1","status":"stopped"`, `"chunk_id":"1","status":"ok"`, "chunks[1].status is ok (expected stopped)"},
		{`"chunk_id":"0","status":"ok"`, `"chunk_id":"0","status":"failed"`, `chunks_statuses["0"] is ok (expected failed)`},
		{`{"run_id":"golden","chunk_id":"1"`, `{"run_id":"other","chunk_id":"1"`, "chunks[1].run_id is other (expected golden)"},
		{`"first_bar":100,"end_bar":200`, `"first_bar":101,"end_bar":200`, "chunks[1].first_bar is 101 (expected 100)"},
		{`"first_bar":100,"end_bar":200`, `"first_bar":100,"end_bar":201`, "chunks[1].end_bar is 201 (expected 200)"},
		{`"bars_processed":40`, `"bars_processed":41`, "coverage.replayed_bars is 239 (expected 240)"},
	} {
		err := perf.Verify(edit(t, b, c.old, c.new))
		if !errors.Is(err, perf.ErrVerify) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q)", c.new, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	b := golden(t, "stopped.json")
	for _, c := range []struct{ old, new, want string }{
		{`"run_id": "golden"`, `"run_id": "../x"`, "run_id"},
		{`"run_id": "golden"`, `"run_id": 7`, "run_id"},
		{`"run_id": "golden"`, `"run_id": null`, `"run_id": null`},
		{`"schema": 1`, `"schema": 2`, "schema 2 (want 1)"},
		{`"schema": 1`, `"schema": "1"`, "schema"},
		{`"schema": 1,`, ``, `"schema" is missing`},
		{`"chunks_total": 6`, `"chunks_total": 6.5`, "chunks_total"},
		{`"chunks_total": 6`, `"chunks_total": "6"`, "chunks_total"},
		{`"outcome": "failed",`, `"outcome": "failed", "outcome": "failed",`, `"outcome" appears twice`},
		{`"missing_bars": 361`, `"missing_bars": null`, `"coverage": null`},
		{`"timestamp": "2026-11-24T10:01:30.250Z"`, `"timestamp": "yesterday"`, `timestamp: "yesterday" is not a time`},
		{`"requested_at": "`, `"requested_at": "x`, "stop.requested_at"},
		{`"started_at": "`, `"started_at": "x`, "sessions[0].started_at"},
		{`"ended_at": "`, `"ended_at": "x`, "sessions[0].ended_at"},
		{`"chunks_statuses": {`, `"chunks_statuses": ["x"], "y": {`, "chunks_statuses"},
		{`"chunks": [`, `"chunks": {}, "y": [`, "chunks"},
		{`"chunks": [`, `"chunks": [null,`, "chunks[0]: not an object"},
		{`"chunks": [`, `"chunks": [[],`, "chunks[0]: not an object"},
		{`"chunk_idx":1,`, `"chunk_idx":2,`, "chunks[1]: chunk_idx 2 (want 1"},
		{`"chunk_idx":1,`, `"chunk_idx":null,`, "chunks[1]: a field is null"},
		{`"chunk_idx":1,`, `"chunk_idx":"1",`, "chunks[1]"},
		{`"bars_processed":40`, `"bars_processed":101`, "chunks[1]: bars_processed 101 of planned_bars 100"},
		{`"bars_processed":40`, `"bars_processed":-1`, "chunks[1]: bars_processed -1"},
		{`"attempt":1`, `"attempt":-1`, "chunks[0]: attempt -1 is negative"},
		{`"chunk_id":"1"`, `"chunk_id":"7"`, `chunks[1]: footer of chunk 1: chunk_id "7"`},
		{`"status":"stopped"`, `"status":"partial"`, `chunks[1]: status "partial" is not one of a chunk`},
	} {
		_, err := perf.Parse(edit(t, b, c.old, c.new))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q)", c.new, err, c.want)
		}
		if errV := perf.Verify(edit(t, b, c.old, c.new)); errV == nil || errors.Is(errV, perf.ErrVerify) {
			t.Errorf("%s: Verify says %v", c.new, errV)
		}
	}
	for _, text := range []string{"", "null", "[]", "{}", "{", `"x"`, string(b[:len(b)/2]), string(b) + "x", string(b) + "{}"} {
		if _, err := perf.Parse([]byte(text)); err == nil {
			t.Errorf("%.20q… is read", text)
		}
	}
	if _, err := perf.Parse(edit(t, b, `"schema": 1`, `"schema": 2`)); !errors.Is(err, perf.ErrSchema) {
		t.Errorf("schema 2: %v", err)
	}
}

// A later version may add fields.
func TestParseTakesAddedFields(t *testing.T) {
	b := golden(t, "stopped.json")
	b = edit(t, b, `"schema": 1,`, `"schema": 1, "added": {"x": [1, "null \" n"]},`)
	b = edit(t, b, `"source": "sigterm"`, `"source": "sigterm", "added": true`)
	b = edit(t, b, `"chunk_idx":1,`, `"chunk_idx":1,"added":[{}],`)
	if err := perf.Verify(b); err != nil {
		t.Fatal(err)
	}
	f, err := perf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(appended(t, f.Report, f.Chunks), golden(t, "stopped.json")) {
		t.Error("it is not what it was without them")
	}
}

// seedFile is a perf JSON with the required fields only.
func seedFile(statuses, chunks string, replayed, planned int) string {
	return fmt.Sprintf(`{"run_id":"r","timestamp":"","schema_version":"perf_v1","schema":1,"outcome":"stopped","export_mode":"",`+
		`"export_partial":false,"export_seq":1,"coverage":{"planned_bars":%[4]d,"replayed_bars":%[3]d,"missing_bars":%[5]d,"by_status":{}},`+
		`"chunks_completed":0,"chunks_total":0,"total_wall_clock_sec":0,"total_bars":%[3]d,"total_model_calls":0,"total_trades":0,`+
		`"total_pnl_bps":0,"trades_open":0,"pregate_enabled":false,"stop":{},"selection":{"stretches":%[3]d},"data":{},"policy":{},"env_info":{},`+
		`"chunks_statuses":{%[1]s},"chunks":[%[2]s]}`, statuses, chunks, replayed, planned, planned-replayed)
}

// The seeds must be files that are read, or the fuzzer begins in the dark.
func TestSeedFile(t *testing.T) {
	if err := perf.Verify([]byte(seedFile("", "", 0, 0))); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	// Small seeds: the fuzzer spends its time on making large ones smaller.
	for _, text := range []string{
		seedFile(`"0":"stopped"`, `{"run_id":"r","chunk_id":"0","status":"stopped","attempt":1,"bars_processed":1,"total_bars":1,"planned_bars":2,"end_bar":2}`, 1, 2),
		seedFile(`"0":"missing"`, `{"run_id":"r","chunk_id":"0","status":"missing"}`, 0, 0),
		seedFile("", "", 0, 0), "{}", `{"chunks":[]}`, `{"chunks":[{}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := perf.Parse(b)
		errV := perf.Verify(b)
		if err != nil {
			if errV == nil {
				t.Fatal("Verify accepts what Parse does not read")
			}
			return
		}
		// What is read can be written, and then fits.
		again, err := perf.Append(nil, file.Report, file.Chunks)
		if err != nil {
			t.Fatal(err)
		}
		if errV != nil {
			return // it contradicts itself: what is written need not be what was read
		}
		if err := perf.Verify(again); err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
	})
}
