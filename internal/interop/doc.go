// Package interop proves that the real cosign command reads what attest writes, and the other way round. It is a module
// of its own, so that the command's dependencies never reach users of the library.
//
// The tests build the command, which takes minutes the first time. Run them here: go test ./...
package interop
