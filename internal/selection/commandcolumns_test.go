package selection_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/selection"
)

// Columns of a command's own trades are matched by name. A table without rows
// has none to impose, also as the first.
func TestOwnTradesByColumns(t *testing.T) {
	for name, c := range map[string]struct {
		texts []string
		want  string // empty: no file
	}{
		"an empty frame first":      {[]string{"\"\"\n", "id,pnl\n1,2\n2,3\n", "id,pnl\n3,4\n"}, "id,pnl\n1,2\n2,3\n3,4\n"},
		"an empty frame in between": {[]string{"id,pnl\n1,2\n", "foo\n", "id,pnl\n3,4\n"}, "id,pnl\n1,2\n3,4\n"},
		"other columns, no rows":    {[]string{"z,y,x\n", "id\n1\n"}, "id\n1\n"},
		"another order":             {[]string{"id,pnl\n1,2\n", "pnl,id\n3,2\n", "id,pnl\n3,4\n"}, "id,pnl\n1,2\n2,3\n3,4\n"},
		"a further column":          {[]string{"id,pnl\n1,2\n", "id,note,pnl\n2,\"a, b\",3\n", "id,pnl\n3,4\n"}, "id,pnl,note\n1,2,\n2,3,\"a, b\"\n3,4,\n"},
		"fewer columns":             {[]string{"id,pnl,note\n1,2,x\n", "id\n2\n"}, "id,pnl,note\n1,2,x\n2,,\n"},
		"no column in common":       {[]string{"a\n1\n", "b\n2\n", "c\n3\n"}, "a,b,c\n1,,\n,2,\n,,3\n"},
		"blanks around names":       {[]string{"id, pnl\n1,2\n", "id,pnl\n2,3\n"}, "id, pnl\n1,2\n2,3\n"},
		"a name twice":              {[]string{"x,x,id\n1,2,3\n", "id,x,x\n6,4,5\n"}, "x,x,id\n1,2,3\n4,5,6\n"},
		"pandas' index":             {[]string{",id\n0,a\n", "id,\nb,1\n"}, ",id\n0,a\n1,b\n"},
		"formulas":                  {[]string{"id,n\n1,=1+1\n", "n,=id,id\n=2,3,2\n"}, "id,n,'=id\n1,'=1+1,\n2,'=2,3\n"},
		"as they are":               {[]string{"id,n\r\n1,\"2\"\r\n", "id,n\r\n1.50, x\r\n"}, "id,n\r\n1,\"2\"\r\n1.50, x\r\n"},
		"no rows at all":            {[]string{"", "id,pnl\n", "a,b\n"}, "id,pnl\n"},
		"no trades":                 {[]string{"", ""}, ""},
	} {
		w := ownTrades(t, c.texts...)
		sel := w.selected(w.selector())
		b, err := os.ReadFile(w.files().TradesCSV())
		if c.want == "" {
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %s, %v (want no file)", name, b, err)
			}
			continue
		}
		if err != nil || string(b) != c.want || sel.Trades.WithoutRows != 0 || !sel.Settled() {
			t.Errorf("%s: %v, %d without rows, settled %v\n%s\nwant\n%s", name, err, sel.Trades.WithoutRows, sel.Settled(), b, c.want)
			continue
		}
		w.report.Selection = sel
		e := opened(t, w.target)
		if _, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
			t.Fatal(err)
		}
		found, err := selection.Verify(w.target.Perf(), read(t, w.target.Perf()))
		rows := 0
		for _, text := range c.texts {
			rows += max(0, strings.Count(text, "\n")-1)
		}
		if err != nil || found.Rows != int64(rows) {
			t.Errorf("%s: verify: %+v, %v (want %d rows)", name, found, err, rows)
		}
	}
}

// What is joined is what an independent reader makes of the tables, whatever
// their columns are.
func TestOwnTradesAgainstSlowJoin(t *testing.T) {
	alphabet := []string{"a", "b", "c", "d", "e"}
	for seed := range 40 {
		n := seed
		next := func(limit int) int { n = (n*1103515245 + 12345) & 0x7fffffff; return (n >> 8) % limit }
		var texts []string
		for range 2 + next(4) {
			cols := slices.Clone(alphabet)
			for i := range cols {
				j := i + next(len(cols)-i)
				cols[i], cols[j] = cols[j], cols[i]
			}
			cols = cols[:1+next(len(cols))]
			text := strings.Join(cols, ",") + "\n"
			for range next(3) {
				var cells []string
				for range cols {
					cells = append(cells, string(rune('k'+next(9))))
				}
				text += strings.Join(cells, ",") + "\n"
			}
			texts = append(texts, text)
		}
		want := slowJoin(texts)
		w := ownTrades(t, texts...)
		w.selected(w.selector())
		if b, err := os.ReadFile(w.files().TradesCSV()); err != nil || string(b) != want {
			t.Fatalf("%q: %v\n%s\nwant\n%s", texts, err, b, want)
		}
	}
}

// slowJoin joins tables of plain cells.
func slowJoin(texts []string) string {
	var header []string
	var rows []map[string]string
	for _, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		names := strings.Split(lines[0], ",")
		for _, line := range lines[1:] {
			row := map[string]string{}
			for k, cell := range strings.Split(line, ",") {
				row[names[k]] = cell
			}
			rows = append(rows, row)
			for _, name := range names {
				if !slices.Contains(header, name) {
					header = append(header, name)
				}
			}
		}
	}
	if len(rows) == 0 {
		header = strings.Split(strings.Split(texts[0], "\n")[0], ",")
	}
	out := strings.Join(header, ",") + "\n"
	for _, row := range rows {
		var cells []string
		for _, name := range header {
			cells = append(cells, row[name])
		}
		out += strings.Join(cells, ",") + "\n"
	}
	return out
}
