package bars

// random is splitmix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", OOPSLA 2014), written out so that no
// library's change can change a data set.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// uniform is in [0, 1), a multiple of 2^-32.
func (r *random) uniform() float64 { return float64(r.next()>>32) / (1 << 32) }

// normal is nearly normal, mean 0, deviation 1, never beyond ±6: the sum of
// twelve uniforms of 16 bits, in integers, so exact on every processor.
func (r *random) normal() float64 {
	const mean = 12 * (1<<16 - 1) / 2
	sum := int64(-mean)
	for range 3 {
		v := r.next()
		sum += int64(v&0xFFFF + v>>16&0xFFFF + v>>32&0xFFFF + v>>48)
	}
	return float64(sum) / (1 << 16)
}
