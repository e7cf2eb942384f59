// Package thirdparty makes THIRD_PARTY.md, the list of what the two programs link
// with its licences, and fails where the file is another. It reads the module
// cache and needs no network:
//
//	go test ./test/thirdparty -update
package thirdparty
