// Package bus is everything that GX1 Replay says over NATS JetStream:
// subjects, streams, tasks, leases, footers, stops, run manifests and
// objects.
//
// Subjects are made and parsed in subjects.go and nowhere else. What comes
// from the bus is bounded, decoded and validated here before anyone sees it.
// The package decides nothing: what a record means is for package lease to
// say, and who is at work for its callers. It never buffers a write while it
// is disconnected.
package bus
