// Package process starts and ends the worker processes of this machine and
// keeps the registry of the runs that are under way on it.
//
// A Pool runs a fixed number of workers, each in a process group of its own,
// starts one again with back-off when it dies, and ends them all in order or
// at once. A worker sees by its lifeline that its coordinator is gone,
// for whatever reason. A Registry holds one small file per run, so that other
// commands on this machine find the run's server.
//
// A Guarded is a command of the user's under a guard: a process that stands
// between a worker and the command. Nothing of the command outlives the worker,
// however the worker ends. The guard is this executable again, with a
// verb that calls GuardMain.
//
// The package depends on nothing that a worker does, never reads the bus, and never
// signals a process that was not started by its means. A worker's process that
// leaves its group (setsid, setpgid) is out of its reach; a command's is not,
// on Linux, as long as its guard lives or the command has a cgroup.
//
// Invariants, which tests carry by their number:
//
//  1. After Run has returned, no process of any group that it started is
//     left, and no child is left unreaped.
//  2. A process group is signalled only while its leader is not reaped: until
//     then the kernel gives its number to no other process.
//  3. After Kill nothing is started again.
//  4. A worker whose coordinator died reads the end of its lifeline.
//  5. A run_id that is not valid never reaches a path.
//  6. After Done, and soon after the death of the worker, no process of a
//     guarded command is left, but for those that do not die of SIGKILL.
package process
