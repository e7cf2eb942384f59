package trade

import (
	"strings"
	"testing"
)

func TestSpreadsheetCell(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "tp1": "tp1", "2026-01-05T07:05:00Z": "2026-01-05T07:05:00Z", "a=b": "a=b", "1-2": "1-2", "'": "'", "it's": "it's",
		"-1.5": "-1.5", "-0.0": "-0.0", "+3": "+3", "-1e-07": "-1e-07", "-1e999": "-1e999", "-inf": "-inf", "-2.50 ": "-2.50 ",
		"=1+1": "'=1+1", `=HYPERLINK("http://x","y")`: `'=HYPERLINK("http://x","y")`, "@SUM(A1)": "'@SUM(A1)",
		"+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0", "-2+3": "'-2+3", "-": "'-", "--1": "'--1", "-1,5": "'-1,5",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "\tx": "'\tx",
		"'=1": "''=1", "''=1": "'''=1", "'-1.5": "'-1.5",
	} {
		got := SpreadsheetCell(in)
		if got != want {
			t.Errorf("%q becomes %q (want %q)", in, got, want)
		}
		if back := CellText(got); back != in {
			t.Errorf("%q comes back as %q", in, back)
		}
	}
}

func FuzzSpreadsheetCell(f *testing.F) {
	for _, text := range []string{"=1", "'=1", "-1", "'-1", "\t", "''''@"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cell := SpreadsheetCell(text)
		if back := CellText(cell); back != text {
			t.Errorf("%q comes back as %q", text, back)
		}
		if cell != "" && strings.IndexByte(formulaStarts, cell[0]) >= 0 && isFormula(cell) {
			t.Errorf("%q is a formula", cell)
		}
	})
}

// A trades file whose texts would be formulas is none for a spreadsheet, and is
// read back as it was.
func TestCSVWithFormulas(t *testing.T) {
	row := Row{TradeID: tradeID(1), Side: "long", Session: "=EU", ExitReason: "-2+3", EntryPrice: 2, ExitPrice: 1, PnlBps: -5000, SignalBar: 1, EntryBar: 1, ExitBar: 1}
	text := string(row.appendCSV(nil, columnsOf(false)))
	if !strings.Contains(text, ",'=EU,'-2+3,") || !strings.Contains(text, ",-5000.0,") {
		t.Errorf("%q", text)
	}
	rows, err := ReadCSV([]byte(header(columnsOf(false)) + text))
	if err != nil || len(rows) != 1 || rows[0].Session != "=EU" || rows[0].ExitReason != "-2+3" || rows[0].PnlBps != -5000 {
		t.Errorf("%+v, %v", rows, err)
	}
}
