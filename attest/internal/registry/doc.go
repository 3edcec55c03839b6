// Package registry makes requests to one registry, each bounded and with an end, and believes no byte that does not have
// the digest it was asked for. It knows what a manifest and a blob are, and of what a blob holds the predicate type alone.
//
// [New] takes [Options]: how the registry is reached, and [Limits]. [Registry.Connect] returns a [Repository] for one
// call. Its budget covers all that the call reads, however many requests make it up.
//
// Three files hold the rules that are easy to get wrong:
//
//   - retry.go: which answers are asked again, and how long a retry waits.
//   - redirect.go: where a registry may send a request, and where not.
//   - sieve.go: how a layer of any size is read for its predicate type, and kept only if that is wanted.
package registry
