// Package roles holds each role of package access against a real server that
// is configured as `coordinator auth init` does it, or knows its users by JWTs:
// what it may do is done, and what it may not is refused.
package roles
