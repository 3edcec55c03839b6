// Package tools pins the programs that check this repository, in a module of its own, so that nobody who imports testdag
// sees them. They are run with go tool from this folder, or with -C internal/tools from anywhere.
package tools
