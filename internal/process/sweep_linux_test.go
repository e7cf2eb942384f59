package process

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// A guard is known by number, start time and namespace; what is not all three,
// or lives, is not taken for gone.
func TestGone(t *testing.T) {
	ours := pidNamespace("self")
	if ours == "" {
		t.Skip("the system does not name namespaces")
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	st, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf("%d.%d.%s", cmd.Process.Pid, st.start, ours)
	for _, c := range []struct {
		name, namespace string
		want            bool
	}{
		{ownName(), ours, false},
		{dead, ours, true},
		{fmt.Sprintf("%d.%d.%s", os.Getpid(), st.start+1, ours), ours, true}, // another had its number
		{dead, "1", false},
		{dead, "", false},
		{fmt.Sprintf("%d.%d.", cmd.Process.Pid, st.start), ours, false},
		{"1.1." + ours, ours, false},
		{"0.0." + ours, ours, false},
		{"-5.1." + ours, ours, false},
		{"", ours, false},
		{"x", ours, false},
	} {
		if got := gone(c.name, c.namespace); got != c.want {
			t.Errorf("%q in %q is gone: %v (want %v)", c.name, c.namespace, got, c.want)
		}
	}
	for name, want := range map[string]bool{
		cgroupPrefix + dead + "-123": true, cgroupPrefix + ownName() + "-123": false, cgroupPrefix + dead: false,
		cgroupPrefix + "123": false, "session-1.scope": false, dead + "-123": false,
	} {
		if got := abandoned(name, ours); got != want {
			t.Errorf("the cgroup %q is abandoned: %v (want %v)", name, got, want)
		}
	}
}
