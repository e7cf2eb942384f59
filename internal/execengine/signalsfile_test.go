package execengine

import (
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const signalsHead = "signal_time,side,entry_time,entry_price,exit_time,exit_price,exit_reason,score,mae_bps,mfe_bps\n"

// The slice of these tests has 10 rows, the first of which is bar 100; bars 102
// to 106 are the chunk's.
var signalsOwn = run.BarRange{First: 102, End: 107}

func readSignalsOf(t *testing.T, text string, partial bool) ([]trade.Signal, error) {
	t.Helper()
	dir := t.TempDir()
	leaveFile(t, dir, "signals.csv", []byte(text))
	return ReadSignals(in(t, dir), m5(10), 100, signalsOwn, partial)
}

// line is a row of signals, bars given by their indices.
func line(t *testing.T, text string) string {
	t.Helper()
	at := m5(10)
	fields := strings.Split(text, ",")
	for _, k := range []int{0, 2, 4} {
		if n, ok := strings.CutPrefix(fields[k], "b"); ok {
			fields[k] = stamp(at[n[0]-'0'])
		}
	}
	return strings.Join(fields, ",") + "\n"
}

func TestReadSignals(t *testing.T) {
	at := m5(10)
	text := signalsHead +
		line(t, "b5,SHORT,b5,2000,b9,1999,,,,") + // at its signal's close, to the end of the tail
		line(t, "b2,buy,b3,2000,b4,2001,target,0.75,3.5,6") +
		line(t, "b3,-1,b4,2000,b4,2001,stop,nan,-1,") +
		line(t, "b6,1,b7,2000,,,,0.5,,2") + // open
		line(t, "b4,sell,,,,,,0.5,,") // never entered
	got, err := readSignalsOf(t, text, false)
	if err != nil {
		t.Fatal(err)
	}
	no := trade.NoBar
	want := []trade.Signal{
		{
			Bar: 102, TimeNS: at[2], Side: trade.Long, Score: 0.75, EntryBar: 103, EntryTimeNS: at[3], EntryPrice: 2000,
			ExitBar: 104, ExitTimeNS: at[4], ExitPrice: 2001, ExitReason: "target", BarsHeld: 2, MAEBps: -3.5, MFEBps: 6, MarkBar: no,
		},
		{
			Bar: 103, TimeNS: at[3], Side: trade.Short, EntryBar: 104, EntryTimeNS: at[4], EntryPrice: 2000,
			ExitBar: 104, ExitTimeNS: at[4], ExitPrice: 2001, ExitReason: "stop", BarsHeld: 1, MAEBps: -5, MarkBar: no,
		},
		{Bar: 104, TimeNS: at[4], Side: trade.Short, Score: 0.5, EntryBar: no, ExitBar: no, MarkBar: no, Expired: true},
		{
			Bar: 105, TimeNS: at[5], Side: trade.Short, EntryBar: 105, EntryTimeNS: at[5], EntryPrice: 2000,
			ExitBar: 109, ExitTimeNS: at[9], ExitPrice: 1999, ExitReason: "command", BarsHeld: 4, MFEBps: 5, MarkBar: no,
		},
		{
			Bar: 106, TimeNS: at[6], Side: trade.Long, Score: 0.5, EntryBar: 107, EntryTimeNS: at[7], EntryPrice: 2000, ExitBar: no,
			MFEBps: 2, Open: true, MarkBar: 107, MarkPrice: 2000, Left: &trade.State{ClosePrice: 2000, Best: 2000},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v\nwant\n%+v", got, want)
	}
	if _, _, err := trade.EncodeSignals(trade.ArtifactName, got); err != nil {
		t.Error(err)
	}
	type row struct {
		Time       int64    `parquet:"time,timestamp(millisecond)"`
		Side       int32    `parquet:"side"`
		EntryTime  *int64   `parquet:"entry_time,optional,timestamp(millisecond)"`
		EntryPrice *float64 `parquet:"entry_price,optional"`
		ExitTime   *int64   `parquet:"exit_time,optional,timestamp(millisecond)"`
		ExitPrice  *float64 `parquet:"exit_price,optional"`
	}
	ms, p := at[4]/1e6, 2000.0
	dir := t.TempDir()
	leaveFile(t, dir, "signals.parquet", parquetOf(t, []row{{at[3] / 1e6, 1, &ms, &p, &ms, &p}, {at[4] / 1e6, -1, nil, nil, nil, nil}}))
	list, err := ReadSignals(in(t, dir), at, 100, signalsOwn, false)
	if err != nil || len(list) != 2 || list[0].EntryBar != 104 || list[0].ExitBar != 104 || list[0].Side != trade.Long || !list[1].Expired || list[1].Side != trade.Short {
		t.Errorf("parquet: %+v, %v", list, err)
	}
	if list, err := readSignalsOf(t, signalsHead, false); err != nil || len(list) != 0 {
		t.Errorf("no rows: %d, %v", len(list), err)
	}
}

func TestReadSignalsErrors(t *testing.T) {
	for want, row := range map[string]string{
		`time is "2026-01-02T00:05:00Z" (want a bar of the chunk, 2026-01-02T00:10:00Z to 2026`:                "b1,long,b2,2000,b3,2000,,,,",
		`time is "2026-01-03T00:35:00Z" (want a bar of the chunk`:                                              "b7,long,b8,2000,b9,2000,,,,",
		`exit_time is "2026-01-03T01:00:00Z" (want the opening time of a bar of the slice: it ends with 2026-`: "b6,long,b7,2000,2026-01-03T01:00:00Z,2000,,,,",
		`--exec-tail-bars gives a slice more bars`:                                                             "b6,long,b7,2000,2026-01-03T01:00:00Z,2000,,,,",
		`no bar of it opens then; --exec-tail-bars`:                                                            "b2,long,2026-01-02T00:12:00Z,2000,b6,2000,,,,",
		`entry_time is "2026-01-02T00:20:00Z" (want the`:                                                       "b2,long,b4,2000,b6,2000,,,,",
		`entry_time is "2026-01-02T00:05:00Z" (want the`:                                                       "b2,long,b1,2000,b6,2000,,,,",
		`exit_time is "2026-01-02T00:10:00Z" (want no`:                                                         "b2,long,b3,2000,b2,2000,,,,",
		`side is "flat" (want long, short`:                                                                     "b2,flat,b3,2000,b4,2000,,,,",
		`side is "" (want long`:                                                                                "b2,,b3,2000,b4,2000,,,,",
		`entry_price is "0" (want a finite price`:                                                              "b2,long,b3,0,b4,2000,,,,",
		`entry_price is "inf" (want a finite price`:                                                            "b2,long,b3,inf,b4,2000,,,,",
		`entry_price is "" (want a finite price`:                                                               "b2,long,b3,,b4,2000,,,,",
		`entry_time is "" (want a time`:                                                                        "b2,long,,2000,b4,2000,,,,",
		`exit_price is "" (want a finite price`:                                                                "b2,long,b3,2000,b4,,,,,",
		`exit_time is "" (want a time`:                                                                         "b2,long,b3,2000,,2000,,,,",
		`exit_price is "2000" (want nothing, as there is`:                                                      "b2,long,,,,2000,,,,",
		`score is "high" (want a finite number`:                                                                "b2,long,b3,2000,b4,2000,,high,,",
		`mfe_bps is "-1" (want 0 or more`:                                                                      "b2,long,b3,2000,b4,2000,,,,-1",
		`mae_bps is "-inf" (want a finite`:                                                                     "b2,long,b3,2000,b4,2000,,,-inf,",
		`exit_reason is "a\tb" (want print`:                                                                    "b2,long,b3,2000,b4,2000,a\tb,,,",
	} {
		if _, err := readSignalsOf(t, signalsHead+line(t, row), false); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "signals.csv") {
			t.Errorf("%s: %v (want an error with %s)", row, err, want)
		}
	}
	twice := signalsHead + line(t, "b2,long,b3,2000,b4,2000,,,,") + line(t, "b3,long,b4,2000,b4,2000,,,,") + line(t, "b2,short,b3,2000,b4,2000,,,,")
	if _, err := readSignalsOf(t, twice, false); err == nil || !strings.Contains(err.Error(), "line 4") || !strings.Contains(err.Error(), "line 2 has this one's") {
		t.Errorf("two signals at a bar: %v", err)
	}
	if list, err := readSignalsOf(t, twice[:len(twice)-1], true); err != nil || len(list) != 2 {
		t.Errorf("a torn last line: %d signals, %v", len(list), err)
	}
	if list, err := ReadSignals(in(t, t.TempDir()), m5(10), 100, signalsOwn, true); err != nil || list != nil {
		t.Errorf("a stopped command without a file: %v, %v", list, err)
	}
}

func FuzzReadSignals(f *testing.F) {
	f.Add([]byte("time,side,entry_time,entry_price,exit_time,exit_price\n2026-01-02T00:10:00Z,long,2026-01-02T00:15:00Z,2000,2026-01-02T00:20:00Z,2001\n"), false, false)
	f.Add([]byte(signalsHead+"1767312600,-1,1767312600,2000,,,open,0.5,-3,4\n1767312900,1,,,,,,,,\n"), false, true)
	type row struct {
		Time       int64   `parquet:"time,timestamp(nanosecond)"`
		Side       string  `parquet:"side"`
		EntryTime  int64   `parquet:"entry_time,timestamp(nanosecond)"`
		EntryPrice float64 `parquet:"entry_price"`
		ExitTime   int64   `parquet:"exit_time,optional,timestamp(nanosecond)"`
		ExitPrice  float64 `parquet:"exit_price,optional"`
	}
	at := m5(10)
	f.Add(parquetOf(f, []row{{at[2], "long", at[3], 2000, at[4], 2001}, {at[3], "short", at[3], 2000, 0, 0}}), true, false)
	f.Fuzz(func(t *testing.T, content []byte, asParquet, partial bool) {
		dir, name := t.TempDir(), "signals.csv"
		if asParquet {
			name = "signals.parquet"
		}
		leaveFile(t, dir, name, content)
		list, err := ReadSignals(in(t, dir), m5(10), 100, signalsOwn, partial)
		if err != nil {
			return
		}
		a, parts, err := trade.EncodeSignals(trade.ArtifactName, list)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := trade.DecodeSignals(a, parts); err != nil || len(back) != len(list) {
			t.Fatalf("%d signals come back as %d: %v", len(list), len(back), err)
		}
	})
}
