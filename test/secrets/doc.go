// Package secrets puts a marked secret into each place where a user can put one,
// runs both programs as processes, and looks for it in all that they printed and
// kept.
package secrets
