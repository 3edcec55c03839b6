// Package repo holds the rules of this repository as tests: what a package may import, how large it may be, what must
// be documented, which versions are required, and that the README and the drawing of the packages tell the truth.
package repo
