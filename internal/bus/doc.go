// Package bus is everything that GX1 Replay sends and reads over NATS JetStream:
// subjects, streams, tasks, leases, footers, stops, run manifests and
// objects.
//
// Subjects are made and parsed in subjects.go and nowhere else. What comes
// from the bus is bounded, decoded and validated here before anyone sees it.
// The package decides nothing: package lease defines what a record means, and
// the callers decide which workers are active. It never buffers a write while it
// is disconnected.
package bus
