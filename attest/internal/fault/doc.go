// Package fault holds the errors that every package of attest makes, and the list in which mistakes are collected, so that
// a caller hears of all of them at once. Package intoto shows its types to users.
package fault
