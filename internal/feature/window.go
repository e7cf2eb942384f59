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
		w.end = size // zeros that nobody asks for, so that a block's column may begin before the first value
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
// first; n + back is less than the window's size and the last block's length
// together.
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
)

// runSums gives sums over long windows at a cost that hardly depends on their
// length. Of each bar it keeps the sums of the newest 1, 2, 4, … 128 values,
// each made of the two halves: S2k[i] = Sk[i-k] + Sk[i]. A window is added up
// from such runs, oldest first. So a sum depends on the window's values alone,
// not on where the series began, as a running sum that adds the new and takes
// away the old would; and it is rounded 8 times where the plain sum of 200
// values is rounded 199 times.
type runSums struct {
	runs [sumLevels]window
}

func (r *runSums) use() {
	for i := range r.runs {
		r.runs[i].grow(sumBars)
	}
}

// push consumes a block's values.
func (r *runSums) push(values []float64) {
	if r.runs[0].size == 0 {
		return
	}
	n := len(values)
	copy(r.runs[0].extend(n), values)
	for level := range sumLevels - 1 {
		older, newer := r.runs[level].last(n, 1<<level), r.runs[level].since(n)
		sums := r.runs[level+1].extend(n)
		older, newer = older[:len(sums)], newer[:len(sums)]
		for i := range sums {
			sums[i] = older[i] + newer[i]
		}
	}
}

// means sets c to the means of the newest n values at the bars of a block of
// that length, 1 ≤ n < sumBars; they were pushed. Nothing from before the
// first push is ever in such a mean.
func (r *runSums) means(n, block int, c column) {
	var runs [sumLevels][]float64 // of which a mean is made, the oldest first
	parts := 0
	newer := n // values from a run's oldest to the newest
	for level := range sumLevels {
		if size := 1 << level; n&size != 0 {
			newer -= size
			runs[parts] = r.runs[level].last(block, newer)
			parts++
		}
	}
	rest := runs[1:parts]
	for j, k := range c.at {
		sum := runs[0][k]
		for i := range rest {
			sum += rest[i][k]
		}
		c.out[j*c.stride] = sum / float64(n)
	}
}
