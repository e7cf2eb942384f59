package trade

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

// KeptSignal is a signal as it stays with a run: what became of it if nobody
// had selected, and whether the run's selection took it.
type KeptSignal struct {
	Signal
	Taken bool
	// Dropped is why it was not taken, in the words of drop_reasons; empty for
	// what was taken.
	Dropped string
}

// SignalFile is what signals_<run_id>.parquet holds.
type SignalFile struct {
	// Signals are those of all replayed bars whose chunks had them, in order.
	Signals []KeptSignal
	// Skipped are the bars that the run's pregate skips, replayed or not. It
	// tells of no bar where the run has no pregate, or it is not known.
	Skipped BarSet
}

// signalRow is a signal as the file holds it. Every column is there in every
// row; a bar that there is none of is -1, a time 0, a text empty.
type signalRow struct {
	Bar         int64   `parquet:"signal_bar,delta"`
	TimeNS      int64   `parquet:"time,timestamp(nanosecond)"`
	Side        string  `parquet:"side,dict"`
	Score       float64 `parquet:"score"`
	StateName   string  `parquet:"state,dict"` // pending | expired | open | closed
	Taken       bool    `parquet:"taken"`
	Dropped     string  `parquet:"dropped,dict"`
	EntryBar    int64   `parquet:"entry_bar,delta"`
	EntryTimeNS int64   `parquet:"entry_time,timestamp(nanosecond)"`
	EntryPrice  float64 `parquet:"entry_price"`
	ExitBar     int64   `parquet:"exit_bar,delta"`
	ExitTimeNS  int64   `parquet:"exit_time,timestamp(nanosecond)"`
	ExitPrice   float64 `parquet:"exit_price"`
	ExitReason  string  `parquet:"exit_reason,dict"`
	BarsHeld    int64   `parquet:"bars_held"`
	MAEBps      float64 `parquet:"mae_bps"`
	MFEBps      float64 `parquet:"mfe_bps"`
	MAEBars     int64   `parquet:"mae_bars"`
	MFEBars     int64   `parquet:"mfe_bars"`
	MarkBar     int64   `parquet:"mark_bar,delta"`
	MarkPrice   float64 `parquet:"mark_price"`

	State // zero of what is neither pending nor open
}

const (
	statePendingName = "pending"
	stateExpiredName = "expired"
	stateOpenName    = "open"
	stateClosedName  = "closed"
)

func newSignalRow(k *KeptSignal) signalRow {
	s := &k.Signal
	r := signalRow{
		Bar: s.Bar, TimeNS: s.TimeNS, Side: s.Side.String(), Score: s.Score, StateName: statePendingName,
		Taken: k.Taken, Dropped: k.Dropped,
		EntryBar: s.EntryBar, EntryTimeNS: s.EntryTimeNS, EntryPrice: s.EntryPrice,
		ExitBar: s.ExitBar, ExitTimeNS: s.ExitTimeNS, ExitPrice: s.ExitPrice, ExitReason: s.ExitReason,
		BarsHeld: s.BarsHeld, MAEBps: s.MAEBps, MFEBps: s.MFEBps, MAEBars: s.MAEBars, MFEBars: s.MFEBars,
		MarkBar: s.MarkBar, MarkPrice: s.MarkPrice,
	}
	switch {
	case s.Expired:
		r.StateName = stateExpiredName
	case s.Open:
		r.StateName = stateOpenName
	case s.Closed():
		r.StateName = stateClosedName
	}
	if s.Left != nil {
		r.State = *s.Left
	}
	return r
}

// signal is the signal of the row. Whether it is sound, check says.
func (r *signalRow) signal() (KeptSignal, error) {
	k := KeptSignal{Taken: r.Taken, Dropped: r.Dropped, Signal: Signal{
		Bar: r.Bar, TimeNS: r.TimeNS, Score: r.Score,
		EntryBar: r.EntryBar, EntryTimeNS: r.EntryTimeNS, EntryPrice: r.EntryPrice,
		ExitBar: r.ExitBar, ExitTimeNS: r.ExitTimeNS, ExitPrice: r.ExitPrice, ExitReason: r.ExitReason,
		BarsHeld: r.BarsHeld, MAEBps: r.MAEBps, MFEBps: r.MFEBps, MAEBars: r.MAEBars, MFEBars: r.MFEBars,
		MarkBar: r.MarkBar, MarkPrice: r.MarkPrice,
	}}
	switch r.Side {
	case Long.String():
		k.Side = Long
	case Short.String():
		k.Side = Short
	}
	left := r.State
	switch r.StateName {
	case statePendingName:
		k.Left = &left
	case stateExpiredName:
		k.Expired = true
	case stateOpenName:
		k.Open, k.Left = true, &left
	case stateClosedName:
	default:
		return k, fmt.Errorf("state is %.20q (want pending, expired, open or closed)", r.StateName)
	}
	if k.Left == nil && left != (State{}) {
		return k, fmt.Errorf("state is %s, and left_… columns hold values", r.StateName)
	}
	if err := k.check(); err != nil {
		return k, err
	}
	if k.Taken != (k.Dropped == "") || !k.Taken && checkReason("dropped", k.Dropped) != nil {
		return k, fmt.Errorf("taken is %t and dropped is %.20q (want a reason for what was not taken alone)", k.Taken, k.Dropped)
	}
	return k, nil
}

const (
	signalsTable = "signals"
	// skippedKey is the file's metadata of skipped bars: their number of bars, a
	// colon, and the bits as base64 of deflate.
	skippedKey = "gx1.pregate_skipped"
	// MaxSignalFile bounds the file of signals, in bytes.
	MaxSignalFile = 64 << 20
)

// ErrSignalsTooLarge: the file of signals would have more than MaxSignalFile
// bytes.
var ErrSignalsTooLarge = errors.New("signals take more than 64 MiB")

// WriteSignals writes signals, in order, as parquet: none of the columns is
// nullable, times are UTC timestamps in ns, texts UTF-8. Equal signals are equal
// bytes as long as the parquet library is the same. An error of signals ends
// it; more than MaxSignalFile bytes are an ErrSignalsTooLarge.
func WriteSignals(w io.Writer, skipped BarSet, signals iter.Seq2[KeptSignal, error]) error {
	var meta []parquet.WriterOption
	if skipped.n > 0 {
		var packed bytes.Buffer
		z, err := flate.NewWriter(&packed, flate.BestSpeed)
		if err == nil {
			_, err = z.Write(skipped.bits)
			err = errors.Join(err, z.Close())
		}
		if err != nil {
			return fmt.Errorf("packing the skipped bars: %w", err)
		}
		text := strconv.FormatInt(skipped.n, 10) + ":" + base64.StdEncoding.EncodeToString(packed.Bytes())
		meta = append(meta, parquet.KeyValueMetadata(skippedKey, text))
	}
	return writeRows(&bounded{w: w, room: MaxSignalFile}, signalsTable, func(yield func(signalRow, error) bool) {
		for k, err := range signals {
			if !yield(newSignalRow(&k), err) {
				return
			}
		}
	}, meta...)
}

// bounded refuses what has no room.
type bounded struct {
	w    io.Writer
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.room {
		return 0, ErrSignalsTooLarge
	}
	b.room -= len(p)
	return b.w.Write(p)
}

// ReadSignals reads what WriteSignals wrote, size bytes, of a run over dataBars
// bars. What is in the file is not believed: every signal is checked, and the
// error names the row, the column and what was expected.
func ReadSignals(r io.ReaderAt, size, dataBars int64) (file SignalFile, err error) {
	if size > MaxSignalFile {
		return SignalFile{}, fmt.Errorf("it has %d bytes (at most %d)", size, int64(MaxSignalFile))
	}
	// The decoder panics on some damaged files; a file is input, not our bug.
	defer func() {
		if p := recover(); p != nil {
			file, err = SignalFile{}, fmt.Errorf("damaged parquet file: %v", p)
		}
	}()
	f, err := bars.OpenParquet(r, size)
	if err != nil {
		return SignalFile{}, err
	}
	if file.Skipped, err = readSkipped(f, dataBars); err != nil {
		return SignalFile{}, fmt.Errorf("metadata %s: %w", skippedKey, err)
	}
	schema := parquet.NewSchema(signalsTable, parquet.SchemaOf(signalRow{}))
	if f.Schema().String() != schema.String() {
		return SignalFile{}, fmt.Errorf("its columns are %.300q (want those of signals)", f.Schema().String())
	}
	rows := parquet.NewGenericReader[signalRow](f, schema)
	defer func() { err = errors.Join(err, rows.Close()) }()
	inData := run.BarRange{End: dataBars}
	batch := make([]signalRow, 1024)
	for want := f.NumRows(); int64(len(file.Signals)) < want; {
		n, err := rows.Read(batch)
		for i := range batch[:n] {
			at := len(file.Signals)
			k, err := batch[i].signal()
			if err == nil {
				err = k.placed(inData, dataBars)
			}
			if err == nil && at > 0 {
				err = k.after(&file.Signals[at-1].Signal)
			}
			if err != nil {
				return SignalFile{}, fmt.Errorf("row %d (bar %d): %w", at, batch[i].Bar, err)
			}
			file.Signals = append(file.Signals, k)
		}
		if int64(len(file.Signals)) < want && (err != nil || n == 0) {
			return SignalFile{}, fmt.Errorf("it ends after %d of %d rows: %w", len(file.Signals), want, err)
		}
	}
	return file, nil
}

// readSkipped reads the skipped bars, if the file has them.
func readSkipped(f *parquet.File, dataBars int64) (BarSet, error) {
	text, ok := f.Lookup(skippedKey)
	if !ok {
		return BarSet{}, nil
	}
	number, packed, ok := bytes.Cut([]byte(text), []byte(":"))
	n, err := strconv.ParseInt(string(number), 10, 64)
	if !ok || err != nil || n != dataBars {
		return BarSet{}, fmt.Errorf("it begins with %.30q (want the data's %d bars and a colon)", number, dataBars)
	}
	raw, err := base64.StdEncoding.DecodeString(string(packed))
	if err != nil {
		return BarSet{}, err
	}
	bits, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), (n+7)/8+1))
	if err != nil {
		return BarSet{}, err
	}
	if int64(len(bits)) != (n+7)/8 {
		return BarSet{}, fmt.Errorf("it has %d bytes of bits (want %d)", len(bits), (n+7)/8)
	}
	if last := n % 8; last != 0 && bits[len(bits)-1]>>last != 0 {
		return BarSet{}, errors.New("it has bits behind the last bar")
	}
	return BarSet{bits: bits, n: n}, nil
}
