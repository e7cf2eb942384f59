// Package nearest finds the name that a misspelt word was meant to be: a verb, a
// flag, a variable, a policy's key.
package nearest

// Of is the one of names that word is most likely a misspelling of; empty:
// none is near.
func Of(word string, names []string) string {
	best, at := "", len(word)/3+2
	for _, name := range names {
		if d := Distance(word, name); d < at {
			best, at = name, d
		}
	}
	return best
}

// Distance is the number of bytes to insert, remove, replace, or exchange
// with the next one, to make b of a (optimal string alignment).
func Distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 0
			if a[i-1] != b[j-1] {
				change = 1
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
