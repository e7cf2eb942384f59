// Package deploy holds what is in deploy/ against real tools, and walks its page
// on hosts that it makes.
package deploy
