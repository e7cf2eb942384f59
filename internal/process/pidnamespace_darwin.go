package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Place is where process ids have one meaning.
type Place struct {
	BootID       string // of the kernel, since it started
	PIDNamespace string // there is one
}

// Here is this process's place.
func Here() (Place, error) {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return Place{}, fmt.Errorf("reading the kernel's boot id: %w", err)
	}
	return Place{BootID: boot, PIDNamespace: "-"}, nil
}
