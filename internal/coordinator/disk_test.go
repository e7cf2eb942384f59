package coordinator

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		go func() { ended <- watchDisk(t.Context(), dir) }()
		<-time.After(10 * probePatience)
		select {
		case err := <-ended:
			t.Fatalf("a directory that takes files was given up: %v", err)
		default:
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the directory: %v, error %v", left, err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := <-ended; err == nil || time.Since(begun) > probeEvery {
			t.Errorf("error %v after %v (want one within %v)", err, time.Since(begun), probeEvery)
		}
	})
}
