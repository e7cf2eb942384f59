package execengine

import (
	"slices"
	"strings"
	"testing"
)

// bare is the environment of a command that inherits nothing.
const bare = "MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONUNBUFFERED=1 VECLIB_MAXIMUM_THREADS=1"

func TestEnviron(t *testing.T) {
	for _, c := range []struct {
		name      string
		list      []string
		slotEnv   map[string][]string
		slot      int
		inherited string
		own       map[string]string
		want      string // beside bare, unless it sets the same
		withheld  string
	}{
		{name: "nothing"},
		{
			name:      "the few that everybody gets",
			inherited: "PATH=/bin HOME=/h LANG=C TZ=UTC TMPDIR=/t PYTHONPATH=/p LC_ALL=C SECRET=x noequals =odd",
			want:      "PATH=/bin HOME=/h LANG=C TZ=UTC TMPDIR=/t",
			withheld:  "LC_ALL PYTHONPATH SECRET",
		},
		{
			name:      "names and globs",
			list:      []string{"PYTHONPATH", "CONDA_*", "R_[LM]IBS", "NOT_SET", "LC_?LL"},
			inherited: "PYTHONPATH=/p=q CONDA_A=1 CONDA_B= XCONDA_C=2 R_LIBS=l LC_ALL=C R_XIBS=x",
			want:      "PYTHONPATH=/p=q CONDA_A=1 CONDA_B= R_LIBS=l LC_ALL=C",
			withheld:  "R_XIBS XCONDA_C",
		},
		{
			name:      "values",
			list:      []string{"A={slice}", "B={{x}}", "C=", "HOME=/other", "D=1", "D=2", "D", "*"},
			inherited: "HOME=/h D=0 E=e",
			want:      "A=/w/s B={x} C= HOME=/other D=2 E=e",
		},
		{
			name:      "threads stay one each unless the list says so",
			list:      []string{"OMP_*", "MKL_NUM_THREADS=4"},
			inherited: "OMP_NUM_THREADS=8 MKL_NUM_THREADS=8 OPENBLAS_NUM_THREADS=8 PYTHONUNBUFFERED=1",
			want:      "OMP_NUM_THREADS=8 MKL_NUM_THREADS=4",
			withheld:  "OPENBLAS_NUM_THREADS",
		},
		{
			name:      "a stop that was asked of somebody else",
			list:      []string{"GX1_STOP_REQUESTED", "GX1_*", "*"},
			inherited: "GX1_STOP_REQUESTED=1 GX1R_FOOTER_FILE=/old GX1_RUN_ID=old GX1_MINE=1",
			own:       map[string]string{"GX1_RUN_ID": "new"},
			want:      "GX1_RUN_ID=new GX1_MINE=1",
			withheld:  "GX1R_FOOTER_FILE GX1_STOP_REQUESTED",
		},
		{
			name:    "slots take their values in turn",
			list:    []string{"CUDA_VISIBLE_DEVICES=9"},
			slotEnv: map[string][]string{"CUDA_VISIBLE_DEVICES": {"0", "0", "1", "1"}, "X": {"a", ""}},
			slot:    7,
			want:    "CUDA_VISIBLE_DEVICES=1 X=",
		},
		{
			name: "the list may set the step of checkpoints, and nothing else of ours",
			list: []string{"GX1_CHECKPOINT_EVERY_BARS=16"},
			own:  map[string]string{"GX1_CHECKPOINT_EVERY_BARS": "1024", "GX1R_SLOT": "7"},
			want: "GX1_CHECKPOINT_EVERY_BARS=16 GX1R_SLOT=7",
		},
	} {
		want := strings.Fields(c.want)
		for _, d := range strings.Fields(bare) {
			name, _, _ := strings.Cut(d, "=")
			if !slices.ContainsFunc(want, func(nv string) bool { return strings.HasPrefix(nv, name+"=") }) {
				want = append(want, d)
			}
		}
		slices.Sort(want)
		got, err := environ(c.list, c.slotEnv, c.slot, strings.Fields(c.inherited), c.own, Values{"slice": "/w/s"})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(got.vars, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got.vars, want)
		}
		if withheld := strings.Join(got.withheld, " "); withheld != c.withheld {
			t.Errorf("%s: withheld %q, want %q", c.name, withheld, c.withheld)
		}
	}
}

func TestEnviron_Errors(t *testing.T) {
	for _, c := range []struct {
		list    []string
		slotEnv map[string][]string
		slot    int
		err     string
		later   bool // only when the values are there
	}{
		{list: []string{""}, err: `--exec-env "": there is no name`},
		{list: []string{"=x"}, err: `--exec-env "=[removed]": there is no name`},
		{list: []string{"A B"}, err: `--exec-env "A B": ' ' cannot stand`},
		{list: []string{"1A"}, err: "neither a name nor a glob"},
		{list: []string{"A["}, err: "neither a name nor a glob"},
		{list: []string{"[!A]*"}, err: "'!' cannot stand"},
		{list: []string{"A*=1"}, err: `"A*" is no name`},
		{list: []string{"A=\x00"}, err: "zero byte"},
		{list: []string{"GX1_RUN_ID=x"}, err: "GX1_RUN_ID is the engine's own"},
		{list: []string{"GX1R_STOP_FILE=x"}, err: "GX1R_STOP_FILE is the engine's own"},
		{list: []string{"A={slise}"}, err: `--exec-env "A={slise}": {slise} is no placeholder`},
		{list: []string{"A=S3{slise}"}, err: `--exec-env "A=[removed]": {slise} is no placeholder`},
		{list: []string{"A=S3\x00"}, err: `--exec-env "A=[removed]": the value holds a zero byte`},
		{list: []string{"A={param.gone}"}, err: "{param.gone} is no placeholder", later: true},
		{slotEnv: map[string][]string{"A": nil}, err: `--slot-env "A": there is no value`, later: true},
		{slotEnv: map[string][]string{"A-": {"1"}}, err: `--slot-env "A-": that is no name`, later: true},
		{slotEnv: map[string][]string{"GX1R_SLOT": {"1"}}, err: "the engine's own", later: true},
		{slotEnv: map[string][]string{"A": {"1"}}, slot: -1, err: "slot -1 is none", later: true},
	} {
		_, err := environ(c.list, c.slotEnv, c.slot, nil, nil, Values{})
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q %q: error %v, want %q", c.list, c.slotEnv, err, c.err)
		}
		err = CheckEnv(c.list)
		if c.later && err != nil || !c.later && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("checking %q: error %v, want %q", c.list, err, c.err)
		}
	}
	if err := CheckEnv([]string{"A", "B_*", "C={slice}:{param.x}", "GX1_CHECKPOINT_EVERY_BARS=1"}); err != nil {
		t.Error(err)
	}
}
