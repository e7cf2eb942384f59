//go:build linux

package drive

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is sent over a slow link arrives whole, after the delay and not at once.
func TestDelay(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var echo sync.WaitGroup
	echo.Go(func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn) // until the link is cut
		_ = conn.Close()
	})
	const delay = 30 * time.Millisecond
	d, err := StartDelay(far.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", strings.TrimPrefix(d.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1, 1 << 20, 5} {
		sent, got := make([]byte, size), make([]byte, size)
		_, _ = rng.Read(sent) // never fails
		begun := time.Now()
		var writing sync.WaitGroup
		writing.Go(func() {
			if _, err := near.Write(sent); err != nil {
				t.Error(err)
			}
		})
		if _, err := io.ReadFull(near, got); err != nil {
			t.Fatal(err)
		}
		writing.Wait()
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes come back changed", size)
		}
		if took := time.Since(begun); took < 2*delay {
			t.Errorf("%d bytes are back after %v (want %v or more)", size, took, 2*delay)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the link carries something though it is cut")
	}
	_ = near.Close() // it is cut
	if err := far.Close(); err != nil {
		t.Error(err)
	}
	echo.Wait()
}
