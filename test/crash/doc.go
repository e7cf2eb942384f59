// Package crash kills coordinators, guardians and both, at chosen moments of
// real runs, goes on with the runs, and has the checker judge what is left:
// nothing may be lost, and nothing counted twice.
//
// It holds tests only. Random moments and many of them are for the campaigns.
package crash
