// Package selfexec ends the processes that tests make of their own executable:
// workers, guards, commands.
//
// On exit, the race detector waits one second for races of goroutines that are
// still running. These processes have none: whoever started a goroutine has
// waited for it. There are hundreds of them, and somebody waits for the end of
// each. Races that were found before end the process with the detector's exit
// code all the same.
package selfexec
