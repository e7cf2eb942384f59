package process

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Three processes: this one, an owner of a pool, its worker. The owner is
// killed the hard way, the worker has to end by itself.
func TestInvariant4_LifelineEndsWithTheOwner(t *testing.T) {
	alive, held, err := os.Pipe() // the worker alone holds its other end
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	owner := exec.Command(os.Args[0])
	owner.Env = roleEnviron("owner")
	owner.Stdout = in
	owner.ExtraFiles = []*os.File{null, held} // 3 and 4
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	held.Close()
	if err := out.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if fields := strings.Fields(line); err != nil || len(fields) != 3 || fields[2] != "true" {
		t.Fatalf("the worker said %q, %v (want ready, its pid and true: it has a lifeline)", line, err)
	}

	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := owner.Wait(); err == nil {
		t.Error("the owner ended well although it was killed")
	}
	if err := alive.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := alive.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("waiting for the worker's end: %v (want EOF)", err)
	}
}

func TestInheritedLifelineRefuses(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, value := range []string{"", "x", "-1", "0", "2", "1000000", strconv.Itoa(int(file.Fd()))} {
		if f, ok := InheritedLifeline(func(string) string { return value }); ok {
			f.Close()
			t.Errorf("%s=%q is taken for a lifeline", LifelineEnv, value)
		}
	}
}

func TestLifelineTellsAndEndsWhenItIsClosed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	line := Lifeline(r)
	if _, err := w.Write([]byte("noise")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-line.Told:
	case <-line.Gone:
		t.Error("bytes are taken for the end")
	case <-time.After(deadline):
		t.Error("bytes are not taken for the coordinator's word")
	}
	r.Close()
	select {
	case <-line.Gone:
	case <-time.After(deadline):
		t.Error("closing the file does not end it")
	}
	w.Close()
}
