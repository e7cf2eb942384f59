// Package site is three hosts of package netns with a NATS server each, which
// are a cluster, and one run on them: its coordinator on the first host, workers
// on any. What troubles it is done by who uses it; the file that the run leaves
// is judged by package check. It needs what netns needs.
package site
