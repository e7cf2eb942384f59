package trade

import (
	"io"
	"iter"
)

// DecisionRow is what became of a bar, as a decisions file holds it. Nothing
// in it depends on the cut.
//
//	bar       index into the data set
//	time      the bar's opening time, UTC
//	decision  warmup | skip | pass | signal | trade
//	reason    of a skip the pregate's, of a pass the entry rule's, of a signal
//	          why it became no trade; empty for warmup and trade
//	side      long | short: the one with the higher score; empty where the
//	          model was not called or has the same score for both
//	score     the model's probability for it; null where there is none
type DecisionRow struct {
	Bar      int64    `parquet:"bar"`
	TimeNS   int64    `parquet:"time,timestamp(nanosecond)"`
	Decision string   `parquet:"decision,dict"`
	Reason   string   `parquet:"reason,dict"`
	Side     string   `parquet:"side,dict"`
	Score    *float64 `parquet:"score,optional"`
}

// NewDecisionRow makes the row of a bar. What became of a signal the selection
// over the run knows: taken, or dropped for a reason.
func NewDecisionRow(bar, timeNS int64, x BarDecision, taken bool, dropped string) DecisionRow {
	t := decisionTexts[x.Decision]
	r := DecisionRow{Bar: bar, TimeNS: timeNS, Decision: t.word, Reason: t.reason}
	if x.Decision == DecisionSignal {
		if r.Reason = dropped; taken {
			r.Decision, r.Reason = WordTrade, ""
		}
	}
	if x.Decision.HasSide() {
		r.Side = x.Side.String()
	}
	if x.Decision.HasScore() {
		r.Score = &x.Score
	}
	return r
}

// WriteDecisions writes rows, in order, as parquet: DecisionRow's columns, of
// which only score is nullable, times as UTC timestamps in ns, texts as UTF-8,
// zstd. Without rows the file has the schema. Equal rows are equal bytes as
// long as the parquet library is the same. An error of rows ends it,
// and is returned as it is.
func WriteDecisions(w io.Writer, rows iter.Seq2[DecisionRow, error]) error {
	return writeRows(w, "decisions", rows)
}
