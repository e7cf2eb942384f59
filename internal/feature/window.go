package feature

// window keeps the newest values of a series, oldest first, in one piece of
// memory: values are written behind each other, and moved to the front when
// the buffer is full. It keeps a block's more than its size, so that the last
// ones of every bar of the block are there.
type window struct {
	size int // values to keep; 0: the window is not used
	buf  []float64
	end  int
}

// grow makes the window keep at least size values. It is called before the
// first push only.
func (w *window) grow(size int) {
	if size > w.size {
		w.size = size
		w.buf = make([]float64, 4*(size+BlockBars))
	}
}

// extend makes room for the next n values, at most a block's, and returns it.
func (w *window) extend(n int) []float64 {
	if w.end+n > len(w.buf) {
		keep := min(w.end, w.size-1)
		copy(w.buf, w.buf[w.end-keep:w.end])
		w.end = keep
	}
	w.end += n
	return w.buf[w.end-n : w.end]
}

// at is the value behind which back others were pushed.
func (w *window) at(back int) float64 { return w.buf[w.end-1-back] }

// since is the newest n values, oldest first.
func (w *window) since(n int) []float64 { return w.buf[w.end-n : w.end] }

// last is the newest n values behind which back others were pushed, oldest
// first; n is at most the window's size and back less than the last block's
// length.
func (w *window) last(n, back int) []float64 { return w.buf[w.end-back-n : w.end-back] }

// mean sums from the oldest value to the newest.
func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

const (
	sumLevels = 8   // runs of 1, 2, 4, … 128 values
	sumBars   = 256 // the longest sum has fewer values
	sumRows   = 512 // kept, a power of two: sumBars and a block at least
)

// runSums gives sums over long windows at a cost that hardly depends on their
// length. Of each bar it keeps the sums of the newest 1, 2, 4, … 128 values,
// each made of the two halves: S2k[i] = Sk[i-k] + Sk[i]. A window is added up
// from such runs, oldest first. So a sum depends on the window's values alone,
// not on where the series began, as a running sum that adds the new and takes
// away the old would; and it is rounded 8 times where the plain sum of 200
// values is rounded 199 times.
type runSums struct {
	rows *[sumRows][sumLevels]float64 // a ring; nil: not used
	at   int                          // of the newest row
}

func (r *runSums) use() {
	if r.rows == nil {
		r.rows = new([sumRows][sumLevels]float64)
	}
}

func (r *runSums) push(values []float64) {
	if r.rows == nil {
		return
	}
	for _, v := range values {
		r.at = (r.at + 1) % sumRows
		row := &r.rows[r.at]
		for level := range sumLevels - 1 {
			row[level] = v
			v = r.rows[(r.at-1<<level)&(sumRows-1)][level] + v
		}
		row[sumLevels-1] = v
	}
}

// mean is the mean of the newest n values behind which back others were
// pushed, 1 ≤ n < sumBars, 0 ≤ back < BlockBars; they were pushed. Rows before
// the first push since the start are never in such a sum.
func (r *runSums) mean(n, back int) float64 {
	var sum float64
	newer := n + back // values from the run's oldest to the newest of all
	for level := range sumLevels {
		if size := 1 << level; n&size != 0 {
			newer -= size
			sum += r.rows[(r.at-newer)&(sumRows-1)][level]
		}
	}
	return sum / float64(n)
}
