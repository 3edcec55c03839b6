package attest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
)

// ErrNotFound is wrapped by [Resolver.Newest] when the image has no statement of the test at all.
var ErrNotFound = errors.New("no evidence")

// A KeyError reports a signed statement that none of the trusted keys has signed. A verifier made by [AnyOf] returns one
// KeyError for all of its keys.
type KeyError struct {
	// Claimed are the ids of keys that the signatures name. The signer chose them, so they prove nothing. Empty if the
	// signatures name no key: cosign writes none, Tekton Chains does.
	Claimed []string

	// Trusted are the keys that were tried, as in [Identity.Name].
	Trusted []string
}

func (e *KeyError) Error() string {
	by := "a key that the signature does not name"
	if len(e.Claimed) > 0 {
		by = "key " + strings.Join(quoted(e.Claimed), ", ")
	}
	not := "none of the trusted keys "
	if len(e.Trusted) == 1 {
		not = "not by the trusted key "
	}
	return fmt.Sprintf("attest: signed by %s, and %s%s", by, not, strings.Join(e.Trusted, ", "))
}

// quoted returns ids that others wrote, as they may stand in a message.
func quoted(ids []string) []string {
	var all []string
	for _, id := range ids[:min(len(ids), 3)] {
		all = append(all, fmt.Sprintf("%.100q", id))
	}
	return all
}

// joinKeys returns errors in which one [KeyError] stands for those of all keys that a verifier tried, since each of them
// looked at the same signatures.
func joinKeys(errs []error) []error {
	var one *KeyError
	var joined []error
	for _, err := range errs {
		key, ok := err.(*KeyError)
		switch {
		case !ok:
			joined = append(joined, err)
		case one == nil:
			one = &KeyError{Claimed: key.Claimed, Trusted: slices.Clone(key.Trusted)}
			joined = append(joined, one)
		default:
			one.Trusted = append(one.Trusted, key.Trusted...)
		}
	}
	return joined
}

// ErrNoImage is wrapped by [Writer.Write] when the registry has no image of that digest, and by a [Resolver] when it
// finds not even the repository.
var ErrNoImage = referrers.ErrNoImage

// A RegistryError reports that a registry did not do what it was asked. Op says what that was: "connect", "list
// referrers", "list tags", "list records", "read manifest", "read blob", "read back", "write blob", "write manifest" or
// "delete manifest". Ref is the repository, the tag or the digest that it was asked about. Status is the HTTP status of
// the answer, 0 if there was none, and Err the cause.
type RegistryError = registry.Error

// A CandidateError reports something found at an image that may be a statement and could not be read, or is of a
// version that is not understood. It might have been the newest statement of any test, unless the referrers API says of
// which, so nothing about the image is certain until it has been repaired or deleted, or is named in
// [Options.UnsafeIgnoreStatements].
//
// Manifest is the digest of the manifest that lists it, zero if a tag could not be read. Envelope is that of the blob
// that could not be read, zero if it was the manifest. Err says why.
type CandidateError = referrers.CandidateError

// A ViewError reports that statements are safely recorded, but that a tag other tools read does not show all of them.
// The next [Writer.Write] or [Writer.Repair] tries again.
//
// Tag is the one, and Err says why. Immutable says that the tag exists and the registry refuses to rewrite it, as
// repositories with immutable tags do. The [Record] is safe then, and a [Resolver] finds it by the tag of its own; other
// tools do not see it. To write again changes nothing: allow tags that begin with "sha256-" to be rewritten, or set
// [Options.WithoutViews].
type ViewError = referrers.ViewError
