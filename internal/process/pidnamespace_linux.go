package process

import (
	"bytes"
	"fmt"
	"os"
)

// Place is where process ids have one meaning.
type Place struct {
	BootID       string // of the kernel, since it started
	PIDNamespace string
}

// Here is this process's place.
func Here() (Place, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Place{}, fmt.Errorf("reading the kernel's boot id: %w", err)
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return Place{}, fmt.Errorf("reading the PID namespace: %w", err)
	}
	return Place{BootID: string(bytes.TrimSpace(boot)), PIDNamespace: namespace}, nil
}
