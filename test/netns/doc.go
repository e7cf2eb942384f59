// Package netns makes hosts of network namespaces, joined by a wire of its
// own, which can be cut, and made to lose and delay what it carries. It needs
// Linux, root, and iproute2.
package netns
