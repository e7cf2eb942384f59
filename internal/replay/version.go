package replay

// Version is the version of the engine. It rises with every change by which any
// result may change: a trade, a counter, a score. Chunks of one run are replayed
// by engines of one version; builds of one version mix.
//
// The golden digests of test/cuts are kept by version, so a change of results
// that forgets to raise it is a red test.
//
// 2: entry.max_gap of bars of a day and longer is five days by default.
const Version = 2
