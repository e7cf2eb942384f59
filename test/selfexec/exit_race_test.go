//go:build race

package selfexec

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// partEnv says what a process of this test does before it exits.
const partEnv = "SELFEXEC_TEST_PART"

// A process that had a race ends with the detector's code, unless it has failed
// by itself; any other ends with its own.
func TestExitTellsOfRaces(t *testing.T) {
	switch os.Getenv(partEnv) {
	case "race":
		race()
		Exit(0)
	case "race and failure":
		race()
		Exit(3)
	case "success":
		Exit(0)
	case "failure":
		Exit(3)
	}
	for part, want := range map[string]int{"race": raceCode, "race and failure": 3, "success": 0, "failure": 3} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestExitTellsOfRaces$")
		cmd.Env = append(os.Environ(), partEnv+"="+part, "GORACE=")
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit code %d (want %d)\n%s", part, code, want, out)
		}
	}
}

// race writes one variable in two goroutines that do not know of each other.
func race() {
	var x int
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { x++ })
	}
	both.Wait()
	_ = x
}
