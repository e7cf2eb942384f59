package run

// firstEngine is the version of engines that name none: results have been the
// same from the first release up to the one that began to count.
const firstEngine = 1

// maxEngineVersion bounds a version that came from the bus.
const maxEngineVersion = 1 << 20

// EngineOf is an engine's version as it counts: 0, of a program or file that
// names none, is 1.
func EngineOf(version int) int { return max(version, firstEngine) }

// SameEngine reports whether engines of versions a and b give the same results.
func SameEngine(a, b int) bool { return EngineOf(a) == EngineOf(b) }
