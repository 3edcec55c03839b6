// Package repo holds the rules of this repository as tests: what a package may import, what must be documented, and that
// the README tells the truth.
package repo
