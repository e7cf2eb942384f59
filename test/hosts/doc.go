// Package hosts runs GX1 Replay on three hosts: network namespaces that a wire
// of its own joins, which can be cut, and made to lose and delay what it
// carries. It needs Linux, root, and iproute2.
package hosts
