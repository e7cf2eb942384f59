package feature

// window keeps the newest values of a series, oldest first, in one piece of
// memory: values are written behind each other, and moved to the front when
// the buffer is full, once in three window lengths.
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
		w.buf = make([]float64, 4*size)
	}
}

func (w *window) push(v float64) {
	if w.size == 0 {
		return
	}
	if w.end == len(w.buf) {
		copy(w.buf, w.buf[w.end-w.size+1:])
		w.end = w.size - 1
	}
	w.buf[w.end] = v
	w.end++
}

// last is the newest n values, oldest first; at least n were pushed and n is
// at most the window's size.
func (w *window) last(n int) []float64 { return w.buf[w.end-n : w.end] }

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
	sumBars   = 256 // kept, a power of two; the longest sum has fewer values
)

// runSums gives sums over long windows at a cost that hardly depends on their
// length. Of each bar it keeps the sums of the newest 1, 2, 4, … 128 values,
// each made of the two halves: S2k[i] = Sk[i-k] + Sk[i]. A window is added up
// from such runs, oldest first. So a sum depends on the window's values alone,
// not on where the series began, as a running sum that adds the new and takes
// away the old would; and it is rounded 8 times where the plain sum of 200
// values is rounded 199 times.
type runSums struct {
	rows []([sumLevels]float64) // a ring; nil: not used
	at   int                    // of the newest row
}

func (r *runSums) use() {
	if r.rows == nil {
		r.rows = make([][sumLevels]float64, sumBars)
	}
}

func (r *runSums) push(v float64) {
	if r.rows == nil {
		return
	}
	rows := (*[sumBars][sumLevels]float64)(r.rows)
	r.at = (r.at + 1) % sumBars
	row := &rows[r.at]
	for level := range sumLevels - 1 {
		row[level] = v
		v = rows[(r.at-1<<level)&(sumBars-1)][level] + v
	}
	row[sumLevels-1] = v
}

// mean is the mean of the newest n values, 1 ≤ n < sumBars; at least n were
// pushed. Rows before the first push since the start are never in such a sum.
func (r *runSums) mean(n int) float64 {
	rows := (*[sumBars][sumLevels]float64)(r.rows)
	var sum float64
	newer := n // values from the run's oldest to the newest of all
	for level := range sumLevels {
		if size := 1 << level; n&size != 0 {
			newer -= size
			sum += rows[(r.at-newer)&(sumBars-1)][level]
		}
	}
	return sum / float64(n)
}
