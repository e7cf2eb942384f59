package execengine

import (
	"fmt"
	"testing"
)

func TestDetector(t *testing.T) {
	const planned, warmup, tail = 100, 30, 20
	slice := TaskSlice{Rows: planned + warmup + tail, FirstOwnRow: warmup, TailRows: tail}
	type want struct{ auto, tqdm, count string } // bars/total; empty: nothing
	for line, w := range map[string]want{
		" 42%|████▏     | 42/100 [00:01<00:02, 35.2it/s]":             {"42/100", "42/100", "42/100"},
		"replay:  42%|####2     | 42/100 [00:01<00:02]":               {"42/100", "42/100", "42/100"},
		"\x1b[32m 42%|████\x1b[0m| 42/100 [00:01<?, ?it/s]":           {"42/100", "42/100", "42/100"},
		" 42%|████▏     | 42.0/100.0 [00:01<00:02]":                   {"42/100", "42/100", "42/100"},
		" 50%|█████     | 65/130 [00:01<00:01]":                       {"65/130", "65/130", "65/130"}, // with its warm-up
		" 50%|█████     | 75/150 [00:01<00:01]":                       {"75/150", "75/150", "75/150"}, // the whole slice
		" 50%|█████     | 70/140 [00:01<00:01]":                       {"", "70/140", "70/140"},       // padding of its own, or something else
		"Loading shards: 100%|██████████| 2/2 [00:01<00:00, 1.9it/s]": {"", "", ""},
		"42it [00:01, 35.2it/s]":                                      {"", "42/0", ""},
		"  1%|          | 1.00k/100k [00:01<00:02, 3.2kit/s]":         {"", "", ""},
		"replayed 50/100 bars":                                        {"50/100", "", "50/100"},
		"\x1b[2K50 / 100":                                             {"50/100", "", "50/100"},
		"bar 50/100, 3 trades":                                        {"50/100", "", "50/100"},
		"[50/100] close=1.2":                                          {"50/100", "", "50/100"},
		"bar 1,000/1,300":                                             {"", "", "1000/1300"},
		"epoch 3/10":                                                  {"", "", ""},
		"101/100 bars":                                                {"", "", ""},
		"loading /data/50/100/x.csv":                                  {"", "", ""},
		"30/50/100":                                                   {"", "", ""},
		"at 2026-11-30 12:50/100ms":                                   {"", "", ""},
		"3.50/100":                                                    {"", "", ""},
		"nothing":                                                     {"", "", ""},
	} {
		for form, expected := range map[string]string{ProgressAuto: w.auto, ProgressTqdm: w.tqdm, ProgressCount: w.count, ProgressNone: "", "": ""} {
			got := ""
			if r, ok := newDetector(form, planned, slice).match([]byte(line)); ok {
				got = fmt.Sprintf("%d/%d", r.Footer.BarsProcessed, r.Total)
			}
			if got != expected {
				t.Errorf("%s on %q: %q (want %q)", form, line, got, expected)
			}
		}
	}
}

func TestCheckProgress(t *testing.T) {
	for form, ok := range map[string]bool{ProgressAuto: true, ProgressTqdm: true, ProgressCount: true, ProgressNone: true, "": false, "rich": false} {
		if err := CheckProgress(form); (err == nil) != ok {
			t.Errorf("%q: %v", form, err)
		}
	}
}

func FuzzDetector(f *testing.F) {
	f.Add([]byte(" 42%|████▏     | 42/100 [00:01<00:02, 35.2it/s]"))
	f.Add([]byte("replayed 1,234/5,000 bars"))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, form := range []string{ProgressAuto, ProgressTqdm, ProgressCount} {
			r, ok := newDetector(form, 100, TaskSlice{Rows: 150, FirstOwnRow: 30}).match(line)
			if !ok {
				continue
			}
			checkReport(t, r)
			if r.Total != 0 && (r.Footer.BarsProcessed > r.Total || r.Total < 100) || form == ProgressAuto && r.Total > 150 {
				t.Fatalf("%s on %q: %d of %d", form, line, r.Footer.BarsProcessed, r.Total)
			}
		}
	})
}
