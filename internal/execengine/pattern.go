package execengine

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"gx1replay/internal/footer"
)

// Pattern finds progress in log lines by a regular expression whose named
// groups are fields of the footer: --exec-progress-regex.
type Pattern struct {
	re     *regexp.Regexp
	groups []string // by index; empty: not named
}

// Groups beside the footer's numbers.
const (
	groupBars    = "bars"    // bars_processed
	groupPercent = "percent" // 0 to 100, of the chunk's bars
	groupTotal   = "total"   // what bars counts to
)

// behindBars is a total that is recognised without a group: the m of n/m right
// behind the bars.
var behindBars = regexp.MustCompile(`^\s*/\s*(\d[\d,._']*)`)

// NewPattern compiles expr (Go's regexp syntax). Its named groups are numeric
// fields of the footer, bars (short for bars_processed), percent (of the
// chunk's bars), total (what bars counts to), phase, status and error; one of them says how many bars. The
// error names --exec-progress-regex, the group and what is allowed.
func NewPattern(expr string) (*Pattern, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("--exec-progress-regex %.200q: %w", expr, err)
	}
	p := &Pattern{re: re, groups: re.SubexpNames()}
	allowed := []string{groupBars, groupPercent, groupTotal, "phase", "status", "error"}
	own := len(allowed)
	for _, d := range reported {
		switch d.Of(&footer.Footer{}).(type) {
		case *int64, *float64:
			allowed = append(allowed, d.Name)
		}
	}
	slices.Sort(allowed[own:])
	bars := false
	for _, g := range p.groups {
		if g != "" && !slices.Contains(allowed, g) {
			return nil, fmt.Errorf("--exec-progress-regex %.200q: group %.80q is no field that can be taken from a log line (want %s)",
				expr, g, strings.Join(allowed, ", "))
		}
		bars = bars || g == groupBars || g == groupPercent || g == "bars_processed"
	}
	if !bars {
		return nil, fmt.Errorf("--exec-progress-regex %.200q: no group says how many bars were replayed (want (?P<bars>…), (?P<bars_processed>…) or (?P<percent>…))", expr)
	}
	return p, nil
}

// String is the expression.
func (p *Pattern) String() string { return p.re.String() }

// Match reads a line of a chunk of planned bars. It reports whether the line
// says anything: p matches, and a group has a value that can be its. Numbers
// are read as plainNumber does, whole ones where a group has found a part. A nil
// Pattern matches nothing.
func (p *Pattern) Match(line []byte, planned int64) (Report, bool) {
	if p == nil {
		return Report{}, false
	}
	at := p.re.FindSubmatchIndex(line)
	if at == nil {
		return Report{}, false
	}
	r := Report{Given: map[string]bool{}}
	percent := ""
	var behind []byte // the bars
	for i, g := range p.groups {
		if g == "" || at[2*i] < 0 {
			continue
		}
		text := strings.TrimSpace(string(line[at[2*i]:at[2*i+1]]))
		if text == "" || r.Given[g] {
			continue // of alternatives that have the same group, the one that has a value
		}
		end := at[2*i+1]
		if g == groupBars || g == groupPercent || g == groupTotal || g == "bars_processed" {
			from, to, sure := wholeNumber(line, at[2*i], end)
			if !sure {
				continue
			}
			text, end = strings.TrimSpace(string(line[from:to])), to
		}
		switch g {
		case groupPercent:
			percent = text
		case groupTotal:
			r.totalDigits(text)
		case groupBars, "bars_processed":
			if r.digits("bars_processed", text) {
				behind = line[end:]
			}
		case "phase":
			r.enter(text)
		case "status":
			r.Status = cutText(validText(text), maxStatus)
		case "error":
			r.Footer.Error, r.Given[g] = validText(text), true
		default:
			r.digits(g, text)
		}
	}
	if m := behindBars.FindSubmatch(behind); m != nil && r.Total == 0 {
		r.totalDigits(string(m[1]))
	}
	if percent != "" && !r.Given["bars_processed"] {
		if bars, total, ok := tqdmCount(line); ok {
			r.counted(bars, total, planned)
		}
	}
	if percent != "" && !r.Given["bars_processed"] {
		if bars, ok := percentOf(percent, planned); ok {
			r.Footer.BarsProcessed, r.Given["bars_processed"] = bars, true
		}
	}
	return r, len(r.Given) > 0 || r.Phase != "" || r.Status != ""
}

// counted takes bars and total of a progress bar whose percentage is not that
// of the chunk, because it counts more bars. One that counts fewer has steps of
// another size, and its percentage is the best that there is.
func (r *Report) counted(bars, total string, planned int64) {
	var c Report
	if c.totalDigits(total) && c.Total > planned && r.digits("bars_processed", bars) {
		r.Total = c.Total
	}
}

// totalDigits takes a total as a log line has it.
func (r *Report) totalDigits(text string) bool {
	plain, ok := plainNumber(text, numberCount)
	if !ok {
		return false
	}
	n, ok := parseCounter(plain)
	if !ok || n == 0 {
		return false
	}
	r.Total = n
	return true
}

func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// enter takes the name of a phase.
func (r *Report) enter(text string) bool {
	p := footer.Phase(strings.ToLower(text))
	if p != footer.PhaseStartup && p != footer.PhaseWarmup && p != footer.PhaseReplay {
		return false
	}
	r.Phase = p
	return true
}

// digits takes a number as a log line has it.
func (r *Report) digits(name, text string) bool {
	if nonfiniteLen([]byte(text)) == len(text) {
		r.Nonfinite = append(r.Nonfinite, name)
		return true
	}
	d, known := fieldOf(name)
	kind := numberFloat
	if _, counts := d.Of(&r.Footer).(*int64); counts {
		kind = numberCount
	}
	plain, ok := plainNumber(text, kind)
	return ok && known && r.number(d, plain)
}

// percentOf is how many of planned bars a percentage is, rounded down. It counts
// in decimals: 29 % of 100 bars are 29, and not the 28 that floats make of it.
func percentOf(percent string, planned int64) (int64, bool) {
	plain, ok := plainNumber(strings.TrimSuffix(percent, "%"), numberPercent)
	if !ok || strings.HasPrefix(plain, "-") {
		return 0, false
	}
	x, ok := new(big.Rat).SetString(plain)
	if !ok || x.Cmp(big.NewRat(100, 1)) > 0 {
		return 0, false
	}
	x.Mul(x, big.NewRat(max(planned, 0), 100))
	return new(big.Int).Quo(x.Num(), x.Denom()).Int64(), true
}
