package bars

import (
	"strings"
	"testing"
)

func TestParseSynthetic(t *testing.T) {
	good := []struct {
		spec string
		n    int64
		seed uint64
	}{
		{"synthetic:1", 1, 1},
		{"synthetic:70000,seed=7", 70000, 7},
		{"synthetic:10000000,seed=0", 10_000_000, 0},
		{"synthetic:5,seed=18446744073709551615", 5, 1<<64 - 1},
	}
	for _, test := range good {
		n, seed, err := ParseSynthetic(test.spec)
		if err != nil || n != test.n || seed != test.seed {
			t.Errorf("%s: %d, %d, %v; want %d, %d", test.spec, n, seed, err, test.n, test.seed)
		}
	}
	bad := map[string]string{ // specification → what the error must say
		"":                         "synthetic:BARS",
		"synthetic":                "synthetic:BARS",
		"synthetic:":               "number of bars",
		"synthetic:0":              "from 1 to 10000000",
		"synthetic:-5":             "from 1 to 10000000",
		"synthetic:10000001":       "from 1 to 10000000",
		"synthetic:1e3":            "number of bars",
		"synthetic:5,":             "seed=S",
		"synthetic:5,speed=3":      "seed=S",
		"synthetic:5,seed=":        "seed",
		"synthetic:5,seed=-1":      "seed",
		"synthetic:5,seed=1,x":     "seed",
		"synthetic:5, seed=1":      "seed=S",
		"synthetic:9,seed=9999e99": "seed",
	}
	for spec, want := range bad {
		if n, seed, err := ParseSynthetic(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %d, %v; want an error with %q", spec, n, seed, err, want)
		}
	}
}

func FuzzParseSynthetic(f *testing.F) {
	f.Add("synthetic:70000,seed=7")
	f.Fuzz(func(t *testing.T, spec string) {
		n, _, err := ParseSynthetic(spec)
		if err == nil && (n < 1 || n > MaxSynthetic || !strings.HasPrefix(spec, "synthetic:")) {
			t.Fatalf("%q: %d bars", spec, n)
		}
	})
}
