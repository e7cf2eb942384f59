// Package slow holds the product's trades against a second engine: engine.py,
// which is written from docs/engine.md alone, in another language and another
// style, and shares nothing with the product. It is slow and short; it computes
// features, signals, exits, selection and costs in one pass over lists.
//
// Policies and bars are drawn at random (Draw), or the bars are a file's. The
// real program replays them, cut in chunks, and every cell of its trades file
// and every count has to be the second engine's (Judge).
//
//	GX1R_POLICIES=200 GX1R_SEED=7 go test -timeout 1h -run TestAgainstTheSlowEngine ./test/check/slow
//	GX1R_DATA=/path/of/bars.csv …   the same with the bars of a file
//
// It imports nothing of the product.
package slow
