//go:build linux

package netns

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// What an end of the wire is told holds for all that comes or goes there.
func TestWireDecidesOnFrames(t *testing.T) {
	const frames = 20_000
	host := func(seed uint64) *Host { return &Host{rng: rand.New(rand.NewPCG(1, seed))} }
	for _, c := range []struct {
		name   string
		set    func(from, to *Host)
		lost   float64
		within float64
		delay  time.Duration
	}{
		{"good", func(_, _ *Host) {}, 0, 0, 0},
		{"the sender is cut off", func(from, _ *Host) { from.Cut(true) }, 1, 0, 0},
		{"the receiver is cut off", func(_, to *Host) { to.Cut(true) }, 1, 0, 0},
		{"mended", func(from, _ *Host) { from.Cut(true); from.Cut(false) }, 0, 0, 0},
		{"both are bad", func(from, to *Host) {
			from.Bad(0.163, 100*time.Millisecond)
			to.Bad(0.163, 100*time.Millisecond)
		}, 0.3, 0.015, 200 * time.Millisecond},
	} {
		from, to := host(1), host(2)
		c.set(from, to)
		lost := 0
		for range frames {
			delay, gone := from.passes(to)
			if gone {
				lost++
			}
			if delay != c.delay {
				t.Fatalf("%s: a delay of %v (want %v)", c.name, delay, c.delay)
			}
		}
		if share := float64(lost) / frames; share < c.lost-c.within || share > c.lost+c.within {
			t.Errorf("%s: %.3f of the frames are lost (want %.3f)", c.name, share, c.lost)
		}
	}
}

func TestOwner(t *testing.T) {
	for name, want := range map[string]int{
		"gx1-42-0badcafe-1": 42, "gx1-42": 0, "gx1-x-1": 0, "gx1--7-1": 0, "gx1-0-1": 0, "other-42-1": 0, "": 0,
	} {
		pid, ok := owner(name)
		if ok != (want > 0) || ok && pid != want {
			t.Errorf("owner(%q) = %d, %v (want %d)", name, pid, ok, want)
		}
	}
}

// Hosts of a process that was killed do not stay; those of one that lives do.
func TestSweep(t *testing.T) {
	if why := Missing(); why != "" {
		t.Skip("no hosts can be made here: " + why)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := namePrefix + strconv.Itoa(dead.Process.Pid) + "-left-1"
	living := namePrefix + strconv.Itoa(os.Getpid()) + "-living-1"
	for _, name := range []string{left, living} {
		if err := ip("netns", "add", name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := os.Lstat(filepath.Join(namespaces, name)); err == nil {
				_ = ip("netns", "delete", name)
			}
		})
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(namespaces)
	if err != nil {
		t.Fatal(err)
	}
	is := func(name string) bool {
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == name })
	}
	if is(left) || !is(living) {
		t.Errorf("the dead process's host is there: %v, the living one's: %v (want false, true)", is(left), is(living))
	}
}
