// Package safefile opens files and directories that somebody else may have
// made, exchanged or cut short: what a command has written, and what lies in a
// directory that others may write.
//
// A file is opened without following a link in its last element and without
// waiting, and is used only if it is a plain file: a pipe that nobody writes to
// holds up nobody, and a link brings in no other file. Where a directory on the
// way could be exchanged for a link, the file is opened relative to a Dir,
// which holds its directory by a descriptor and does not leave it.
//
// What this package makes can be read by its user alone, whatever the umask:
// files have mode 0600, directories 0700.
package safefile
