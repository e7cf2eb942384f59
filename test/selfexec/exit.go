//go:build !race

package selfexec

import "os"

// Exit ends the process.
func Exit(code int) { os.Exit(code) }
